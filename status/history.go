package status

import (
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// HistoryEntry is what one kept version of targets changed.
type HistoryEntry struct {
	Version int64           `json:"targets_version"`
	Changes []edit.Promoted `json:"changes"`
	Problem string          `json:"problem,omitempty"`
}

// changed compares two versions, by component, platform and channel.
func changed(before, after []meta.Row, wants func(meta.Row) bool) []edit.Promoted {
	old := map[string]meta.Row{}
	for _, r := range before {
		old[r.Path] = r
	}
	var out []edit.Promoted
	note := func(r meta.Row, from, to string) {
		if wants(r) {
			out = append(out, edit.Promoted{Name: r.Name, Platform: r.Platform, Channel: r.Channel, Before: from, After: to})
		}
	}
	for _, r := range after {
		was, there := old[r.Path]
		delete(old, r.Path)
		if !there || was.SHA512 != r.SHA512 || was.Version != r.Version {
			note(r, was.Version, r.Version)
		}
	}
	for _, r := range before {
		if _, gone := old[r.Path]; gone {
			note(r, r.Version, "")
		}
	}
	return out
}

// History is what each kept version of targets changed against the one before it that is
// kept too, the oldest first; wants narrows it.
func History(w *workflow.Session, wants func(meta.Row) bool) ([]HistoryEntry, error) {
	kept, err := edit.History(w.Repo, w.Published)
	if err != nil {
		return nil, err
	}
	out := []HistoryEntry{}
	var before []meta.Row
	for _, n := range kept {
		e := HistoryEntry{Version: n.Version, Changes: []edit.Promoted{}}
		if n.Err != nil {
			e.Problem = n.Err.Error()
			out = append(out, e)
			continue
		}
		rows, _, err := n.Targets.Rows()
		if err != nil {
			return nil, err
		}
		e.Changes = append(e.Changes, changed(before, rows, wants)...)
		before = rows
		out = append(out, e)
	}
	return out, nil
}
