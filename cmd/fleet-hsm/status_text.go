package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/status"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// barWidth: with it a line fits into the 80 columns of a terminal.
const barWidth = 6

// bar draws how much of its usual time a role has left, on a terminal: green, yellow (to be
// renewed soon) or red (expired).
func bar(w *prompt.Writer, rs status.Role) prompt.Text {
	if !w.Terminal() {
		return prompt.Text{}
	}
	n := 0
	if rs.Usual > 0 {
		n = int(float64(rs.Left) / float64(rs.Usual) * barWidth)
	}
	n = min(max(n, 0), barWidth)
	if rs.Left > 0 && n == 0 {
		n = 1
	}
	return prompt.Sprintf("%s ", w.Marked(meaningOf(rs), prompt.Sprintf("[%s%s]", strings.Repeat("#", n), strings.Repeat(".", barWidth-n))))
}

func meaningOf(rs status.Role) prompt.Meaning {
	switch {
	case rs.Left <= 0:
		return prompt.Bad
	case rs.Left < rs.Early:
		return prompt.Soon
	}
	return prompt.Good
}

// archiveWords tells of the cold roles; a warning names those that cannot be read.
func archiveWords(s *repo.ColdSummary, sep string) string {
	if s.Role == "" {
		return fmt.Sprintf("%d cold roles, none of which can be read", s.Roles)
	}
	return fmt.Sprintf("%d cold roles, %d targets%sexpires %s (%s)", s.Roles, s.Targets, sep, s.Expires.Format(time.DateOnly), inDays(s.Expires))
}

func (res *statusResult) text(w *prompt.Writer) {
	if res.Source != "" {
		w.Printf("served by %s\n", res.Source)
	}
	for _, rs := range res.Roles {
		w.Printf("%-9s v%-5d %sexpires %s (%s)  threshold %d of %d\n", rs.Role, rs.Version, bar(w, rs),
			rs.Expires.UTC().Format(time.DateOnly), w.Marked(meaningOf(rs), prompt.Sprintf("%s", inDays(rs.Expires))), rs.Threshold, len(rs.Keys))
		for _, k := range rs.Keys {
			w.Printf("          %s  %s\n", k.KeyID.Short(), keyWords(k))
		}
	}
	if s := res.Archive; s != nil {
		w.Printf("archive   %s\n", archiveWords(s, "  "))
	}
	w.Printf("layout    %s\n", res.layout())
	for _, s := range res.Warnings {
		w.Printf("WARNING   %s\n", s)
	}
	res.textStaged(w)
}

// keyWords are a key's name, its place and what is known of its birth.
func keyWords(k status.Key) prompt.Text {
	name := prompt.Text{}
	if k.Name != "" {
		name = prompt.Sprintf("%q  ", k.Name)
	}
	s := k.Place
	if k.Signed {
		s += ", signed"
	}
	if k.Proof != "" {
		s += ", " + proofWords(k.Proof)
	}
	return prompt.Sprintf("%s%s", name, s)
}

func (res *statusResult) layout() string {
	if res.Consistent {
		return "consistent snapshots"
	}
	return "flat"
}

func inDays(t time.Time) string {
	if time.Until(t) < 0 {
		return "expired " + config.DaysUntil(t)
	}
	return "in " + config.DaysUntil(t)
}

func (res *statusResult) textStaged(w *prompt.Writer) {
	if res.Staged != nil {
		for _, s := range res.Staged.Intents {
			w.Printf("staged    %s\n", prompt.Quote(s))
			if by, ok := workflow.StagingOf(res.Staged.Staged, s); ok {
				w.Printf("          says: by %s of %s, %s\n", prompt.Name(by.Command), prompt.Name(by.By), workflow.StagedAt(by.At))
			}
		}
		for _, rc := range res.Staged.Roles {
			for _, s := range rc.Signatures {
				w.Printf("          %s v%d: %d of %d signatures (%s)\n", rc.Role, rc.To, s.Have, s.Need, s.By)
			}
		}
	}
	for _, s := range res.Next {
		w.Printf("next      %s   # %s\n", s.Command, s.Why)
	}
}

// markdown is the same for a wiki or an issue.
func (res *statusResult) markdown(w *prompt.Writer) {
	rows := [][]string{{"role", "version", "expires", "left", "threshold", "keys"}}
	for _, rs := range res.Roles {
		var keys []string
		for _, k := range rs.Keys {
			keys = append(keys, fmt.Sprintf("`%s` %s", k.KeyID.Short(), keyWords(k)))
		}
		rows = append(rows, []string{rs.Role, fmt.Sprint(rs.Version), rs.Expires.UTC().Format(time.DateOnly), inDays(rs.Expires),
			fmt.Sprintf("%d of %d", rs.Threshold, len(rs.Keys)), strings.Join(keys, "<br>")})
	}
	w.MarkdownTable(rows)
	list := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		w.Printf("\n%s:\n\n", title)
		for _, s := range items {
			w.Printf("* %s\n", s)
		}
	}
	if s := res.Archive; s != nil {
		list("Archive", []string{archiveWords(s, ", ")})
	}
	list("Layout", []string{res.layout()})
	list("Warnings", res.Warnings)
	if res.Staged != nil {
		list("Staged", quoted(res.Staged.Intents))
	}
	var next []string
	for _, s := range res.Next {
		next = append(next, fmt.Sprintf("`%s`: %s", s.Command, s.Why))
	}
	list("Next", next)
}

// quoted shows each intent between quotes: whoever staged the change wrote it.
func quoted(intents []string) []string {
	var out []string
	for _, s := range intents {
		out = append(out, prompt.Quote(s).String())
	}
	return out
}
