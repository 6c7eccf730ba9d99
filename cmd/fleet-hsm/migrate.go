package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type migrateOptions struct {
	dryRun bool
	changeFlags
}

func (a *app) migrateCommand() *cobra.Command {
	var o migrateOptions
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Move a fleetctl folder in: say what is there and what is left to do, and do the layout",
		Long: `migrate looks at a folder that fleetctl made, says what is odd in it and which steps
are left, and does the one that is a change of the repository itself: from the flat
layout to consistent snapshots, in which agents verify at every moment of a publication.
Every target is put under its hashed name first, and N.targets.json and
N.snapshot.json of the versions in force; then comes the root that says so. Agents of
every age follow. It needs root's keys and the timestamp's.

Keys move role by role, whenever you like, before or after: "fleet-hsm rotate ROLE
--key URI". Until a change is published, "fleet-hsm discard" is the way back.`,
		Example: `  fleet-hsm migrate --dry-run
  fleet-hsm migrate --yes`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runMigrate(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what is there and what is left to do")
	o.changeFlags.add(f, meta.Roles()...)
	return cmd
}

// migrateResult is migrate with --json. Steps are those that are left afterwards.
type migrateResult struct {
	committed
	Layout    string        `json:"layout"` // as it is now: "flat" or "consistent"
	Targets   int           `json:"targets"`
	Leftovers []string      `json:"leftovers"`
	Odd       []edit.Oddity `json:"odd"`
	Steps     []step        `json:"steps"`
}

func (a *app) runMigrate(ctx context.Context, o migrateOptions) error {
	if o.dryRun {
		return a.planMigration()
	}
	w, err := a.open(ctx, "migrate")
	if err != nil {
		return err
	}
	defer w.End()
	if err := w.NeedPublished(); err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	if w.Published.Root.ConsistentSnapshot() {
		return a.reportMigration(w, nil)
	}
	if err := w.Published.Expired(w.Repo.Now(), meta.RoleTargets, meta.RoleSnapshot); err != nil {
		return err
	}
	if err := w.Join(o.reviewed, o.stageOnly, o.dropStaged); err != nil {
		return err
	}
	c, err := edit.Migrate(w.Repo, w.Published, w.Staged, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	if !o.stageOnly {
		a.note("%d targets are put under hashed names, then root v%d says so; the plain files stay for agents that are just fetching",
			w.Published.Targets.Len(), c.Root().Version())
	}
	versions, err := w.Finish(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	if o.stageOnly {
		return a.reportMigration(w, nil)
	}
	if w.Published, err = w.Repo.Load(); err != nil {
		return err
	}
	return a.reportMigration(w, versions)
}

// planMigration is --dry-run: it reads, and takes no lock.
func (a *app) planMigration() error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	return a.reportMigration(w, nil)
}

func (a *app) reportMigration(w *workflow.Session, versions map[string]int64) error {
	left, err := edit.FleetctlLeftovers(w.Repo)
	if err != nil {
		return err
	}
	res := migrateResult{
		committed: a.committed("migrate", versions),
		Layout:    "flat", Targets: w.Published.Targets.Len(), Leftovers: left, Odd: edit.Oddities(w.Repo),
	}
	if w.Published.Root.ConsistentSnapshot() {
		res.Layout = "consistent"
	}
	if res.Leftovers == nil {
		res.Leftovers = []string{}
	}
	if res.Odd == nil {
		res.Odd = []edit.Oddity{}
	}
	res.Steps = stepsLeft(w, res, versions != nil)
	return a.print(res, res.text)
}

// stepsLeft lists what may still be done to be where DESIGN wants a repository.
func stepsLeft(w *workflow.Session, res migrateResult, moved bool) []step {
	steps := []step{}
	if len(res.Leftovers) > 0 {
		steps = append(steps, step{"fleet-hsm discard", "clears what fleetctl left when it failed; key backups go to keys/retired"})
	}
	switch {
	case res.Layout == "flat" && w.Staged != nil:
		steps = append(steps, step{"fleet-hsm sign", "a change is staged; sign it, or drop it with fleet-hsm discard"})
	case res.Layout == "flat":
		steps = append(steps, step{"fleet-hsm migrate", "to consistent snapshots: agents verify at every moment of a publication"})
	}
	for _, role := range meta.Roles() {
		if w.InFiles(role) {
			steps = append(steps, step{fmt.Sprintf("fleet-hsm rotate %s --key %s --generate", role, exampleKey(role)),
				fmt.Sprintf("the %s key is a file; this moves it to a device through a root that agents follow", role)})
		}
	}
	if moved {
		steps = append(steps, step{"fleet-hsm gc", "in a week: deletes the plain files, which agents no longer ask for"})
	}
	return steps
}

func (res migrateResult) text(w *prompt.Writer) {
	layout := res.Layout
	if layout == "consistent" {
		layout = "consistent snapshots"
	}
	w.Printf("layout    %s, %d targets\n", layout, res.Targets)
	for _, s := range res.Leftovers {
		by := "fleetctl left it when it failed"
		if s == "staged/root.json" {
			by = "a change of the tuf tool that waits for signatures, or fleetctl left it when it failed"
		}
		w.Printf("leftover  %s: %s; it is never used or published\n", s, by)
	}
	for _, o := range res.Odd {
		w.Printf("odd       %s: %s; agents accept it, and the next version is written without\n", o.File, o.What)
	}
	for _, s := range res.Steps {
		w.Printf("step      %s   # %s\n", s.Command, s.Why)
	}
	if len(res.Steps) == 0 {
		w.Printf("nothing is left to do\n")
	}
}
