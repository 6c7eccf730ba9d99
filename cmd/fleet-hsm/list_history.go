package main

import (
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/status"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// historyResult is list --history with --json, the oldest version first.
type historyResult struct {
	Schema   int                   `json:"schema"`
	Versions []status.HistoryEntry `json:"versions"`
}

// listHistory shows what each kept version of targets changed.
func (a *app) listHistory(w *workflow.Session, o listOptions) error {
	versions, err := status.History(w, o.wants)
	if err != nil {
		return err
	}
	res := historyResult{Schema: 1, Versions: versions}
	return a.print(res, func(out *prompt.Writer) { writeTable(out, res.table(), o.markdown) })
}

func (res historyResult) table() [][]string {
	rows := [][]string{{"targets", "component", "platform", "channel", "before", "after"}}
	for _, e := range res.Versions {
		version := fmt.Sprintf("v%d", e.Version)
		if e.Problem != "" {
			rows = append(rows, []string{version, e.Problem, "", "", "", ""})
		}
		for _, c := range e.Changes {
			rows = append(rows, []string{version, bare(c.Name), bare(c.Platform), bare(c.Channel), bare(c.Before), bare(c.After)})
		}
	}
	return rows
}
