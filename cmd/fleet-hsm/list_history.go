package main

import (
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// historyResult is list --history with --json, the oldest version first.
type historyResult struct {
	Schema   int            `json:"schema"`
	Versions []historyEntry `json:"versions"`
}

type historyEntry struct {
	Version int64           `json:"targets_version"`
	Changes []repo.Promoted `json:"changes"`
	Problem string          `json:"problem,omitempty"`
}

// listHistory shows what each kept version of targets changed against the one before
// it that is kept too.
func (a *app) listHistory(w *workflow.Session, o listOptions) error {
	kept, err := w.Repo.History(w.Published)
	if err != nil {
		return err
	}
	res := historyResult{Schema: 1, Versions: []historyEntry{}}
	var before []repo.Row
	for _, n := range kept {
		e := historyEntry{Version: n.Version, Changes: []repo.Promoted{}}
		if n.Err != nil {
			e.Problem = n.Err.Error()
			res.Versions = append(res.Versions, e)
			continue
		}
		rows, _, err := n.Targets.Rows()
		if err != nil {
			return err
		}
		e.Changes = append(e.Changes, changed(before, rows, o)...)
		before = rows
		res.Versions = append(res.Versions, e)
	}
	return a.print(res, func(out *prompt.Writer) { res.table().write(out, o.markdown) })
}

// changed compares two versions, by component, platform and channel.
func changed(before, after []repo.Row, o listOptions) []repo.Promoted {
	old := map[string]repo.Row{}
	for _, r := range before {
		old[r.Path] = r
	}
	var out []repo.Promoted
	note := func(r repo.Row, from, to string) {
		if o.wants(r) {
			out = append(out, repo.Promoted{Name: r.Name, Platform: r.Platform, Channel: r.Channel, Before: from, After: to})
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

func (res historyResult) table() table {
	t := table{head: []string{"targets", "component", "platform", "channel", "before", "after"}}
	for _, e := range res.Versions {
		version := fmt.Sprintf("v%d", e.Version)
		if e.Problem != "" {
			t.rows = append(t.rows, []string{version, e.Problem, "", "", "", ""})
		}
		for _, c := range e.Changes {
			t.rows = append(t.rows, []string{version, bare(c.Name), bare(c.Platform), bare(c.Channel), bare(c.Before), bare(c.After)})
		}
	}
	return t
}
