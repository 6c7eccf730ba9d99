package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type gcOptions struct {
	grace  config.Duration
	dryRun bool
}

func (a *app) gcCommand() *cobra.Command {
	o := gcOptions{grace: config.Duration(7 * 24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Delete content that no metadata names any more",
		Long: `gc deletes target files that were published once and that no metadata of the last
--grace names. N.root.json are never deleted, nor files that fleet-hsm did not write.`,
		Example: `  fleet-hsm gc --dry-run
  fleet-hsm gc --grace 30d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runGC(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.Var(&o.grace, "grace", "keep what was in force within this time")
	takesNothing(f, "grace", "keep only what is in force now")
	f.BoolVar(&o.dryRun, "dry-run", false, "only list it")
	return cmd
}

type gcResult struct {
	Schema  int                 `json:"schema"`
	Command string              `json:"command"`
	DryRun  bool                `json:"dry_run"`
	Files   []edit.Unreferenced `json:"files"`
	Bytes   int64               `json:"bytes"`
}

func (a *app) runGC(ctx context.Context, o gcOptions) error {
	open := func() (*workflow.Session, error) { return a.open(ctx, "gc") }
	if o.dryRun {
		open = a.look // it takes no lock and writes nothing
	}
	w, err := open()
	if err != nil {
		return err
	}
	defer w.End()
	if err := w.NeedPublished(); err != nil {
		return err
	}
	list, err := edit.FindUnreferenced(w.Repo, w.Published, w.Staged, time.Duration(o.grace))
	if err != nil {
		return err
	}
	res := gcResult{Schema: 1, Command: "gc", DryRun: o.dryRun, Files: list}
	if res.Files == nil {
		res.Files = []edit.Unreferenced{}
	}
	for _, g := range list {
		res.Bytes += g.Length
	}
	if !o.dryRun && len(list) > 0 {
		w.UnlockWhileAsking()
		if err := a.confirm(ctx, w, fmt.Sprintf("Delete %d files, %s?", len(list), prompt.Size(res.Bytes))); err != nil {
			return err
		}
		if err := edit.RemoveUnreferenced(w.Repo, list); err != nil {
			return err
		}
	}
	return a.print(res, func(out *prompt.Writer) {
		for _, g := range list {
			out.Printf("%s\n", g.Path)
		}
		verb := "deleted"
		if o.dryRun {
			verb = "would delete"
		}
		a.note("%s %d files, %s", verb, len(list), prompt.Size(res.Bytes))
	})
}
