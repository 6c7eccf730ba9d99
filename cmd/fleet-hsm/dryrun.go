package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/review"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// addDryRun gives --dry-run to the commands that sign, and have none of their own. What
// it does stands in one place for all: see [workflow.Rehearsal].
func (a *app) addDryRun(root *cobra.Command) {
	signing := []string{"init", "add", "promote", "remove", "rotate", "timestamp", "sign", "commit", "attach"}
	for _, c := range root.Commands() {
		if slices.Contains(signing, c.Name()) {
			c.Flags().BoolVar(&a.dryRun, "dry-run", false, "show the review and what would be written; sign and write nothing, ask for no secret")
		}
	}
}

// rehearsalResult is a dry run with --json.
type rehearsalResult struct {
	Schema  int    `json:"schema"`
	Command string `json:"command"`
	DryRun  bool   `json:"dry_run"`
	*workflow.Rehearsal
	Notes []string `json:"notes,omitempty"`
}

func (a *app) reportRehearsal(r *workflow.Rehearsal) error {
	command := strings.TrimPrefix(a.ran, "fleet-hsm ")
	return a.print(rehearsalResult{1, command, true, r, a.notes}, func(w *prompt.Writer) {
		if r.Review != nil {
			review.Show(w, *r.Review, a.keys)
			w.Printf("\n")
		}
		for _, s := range r.Signs {
			w.Printf("would sign   %s: %d of %s\n", s.Role, s.Need, strings.Join(s.Keys, ", "))
		}
		for _, f := range r.Writes {
			size := prompt.Text{}
			if f.Size > 0 {
				size = prompt.Sprintf("  (%s)", prompt.Size(f.Size))
			}
			w.Printf("would write  %s%s\n", prompt.Path(f.Path), size)
		}
		a.note("%s", workflow.RehearsalText)
	})
}
