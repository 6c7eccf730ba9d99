package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Finding is something that is wrong, for as long as it is.
type Finding struct {
	Kind    Kind      `json:"event"`
	Level   Level     `json:"level"`
	Address string    `json:"address,omitempty"`
	Role    string    `json:"role,omitempty"`
	Version int64     `json:"version,omitempty"`
	Text    string    `json:"text"`
	Since   time.Time `json:"since"`
	// patient: it may be a cache that is behind, and counts after Config.Delay only.
	patient bool
}

// key is what makes two findings the same one; Text may change meanwhile.
func (f Finding) key() string {
	return fmt.Sprintf("%s %s %d %s", f.Kind, f.Role, f.Version, f.Address)
}

// Event is what Tell hears.
type Event struct {
	Schema int       `json:"schema"`
	Time   time.Time `json:"time"`
	Kind   Kind      `json:"event"`
	Level  Level     `json:"level"`
	// State is "begins" or "ends" for a finding.
	State   string `json:"state,omitempty"`
	Address string `json:"address,omitempty"`
	Role    string `json:"role,omitempty"`
	Version int64  `json:"version,omitempty"`
	Text    string `json:"text"`
}

// maxTexts is how many faults of one kind, role and address are told in words.
const maxTexts = 3

// gather joins findings with one key: the first texts, and how many more there are.
func gather(all []Finding) []Finding {
	var out []Finding
	texts := map[string][]string{}
	for _, f := range all {
		k := f.key()
		if texts[k] == nil {
			out = append(out, f)
		}
		if !slices.Contains(texts[k], f.Text) {
			texts[k] = append(texts[k], f.Text)
		}
	}
	for i := range out {
		t := texts[out[i].key()]
		out[i].Text = strings.Join(t[:min(len(t), maxTexts)], "; ")
		if n := len(t) - maxTexts; n > 0 {
			out[i].Text += fmt.Sprintf("; and %d more", n)
		}
	}
	return out
}

// reconcile holds what is wrong now against what was, and tells what began and what ended.
func (s *Service) reconcile(now time.Time, found []Finding) {
	found = gather(found)
	before := map[string]*openFinding{}
	for _, o := range s.mem.Open {
		before[o.key()] = o
	}
	var open []*openFinding
	for _, f := range found {
		o := before[f.key()]
		delete(before, f.key())
		if o == nil {
			o = &openFinding{Finding: f}
			o.Since = now
		}
		o.Text = f.Text
		if !o.Told && (!f.patient || now.Sub(o.Since) >= s.cfg.Delay) {
			o.Told = true
			s.tell(now, o.Finding, "begins")
		}
		open = append(open, o)
	}
	for _, o := range s.mem.Open {
		if before[o.key()] != nil && o.Told {
			s.tell(now, o.Finding, "ends")
		}
	}
	s.mem.Open = open
}

func (s *Service) tell(now time.Time, f Finding, state string) {
	level := f.Level
	if state == "ends" {
		level = Info
	} else {
		s.cfg.Metrics.event(f.Kind)
	}
	s.cfg.Tell(Event{1, now.UTC(), f.Kind, level, state, f.Address, f.Role, f.Version, f.Text})
}

// Findings gives what is wrong, the gravest kind first.
func (s *Service) Findings() []Finding {
	rank := map[Kind]int{}
	for i, e := range Kinds() {
		rank[e.Kind] = i
	}
	out := []Finding{}
	for _, o := range s.mem.Open {
		if o.Told {
			out = append(out, o.Finding)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), strings.Compare(a.Address, b.Address))
	})
	return out
}
