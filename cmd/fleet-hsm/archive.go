package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type archiveOptions struct {
	keep               int
	undo, plan, dryRun bool
	coldKeys           []string
	changeFlags
}

func (a *app) archiveCommand() *cobra.Command {
	var o archiveOptions
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Move old versions out of targets.json, so that agents need not fetch them",
		Long: `archive moves the entries of old versions from targets.json, which every agent fetches
after each release and verifies four times a poll, to cold roles, which only who asks for
such a version fetches: one role for each component and platform. No content is touched.
The newest --keep versions stay, and those that a channel or "pinned:" in the
configuration names.

It is a rare sitting: each cold role that changes is signed, by the keys of targets or
by --cold-key. --plan says how many signatures it takes and what agents fetch before and
after. A release afterwards takes as many signatures as before it. --cold-key without
--keep only changes the keys of the cold roles. --undo brings all entries back; the
roles stay, empty, because agents refuse a repository that loses one.

Once there are cold roles, fleetctl must not write to the folder any more: its "add"
fails, and its "rotate" leaves the cold roles to the old key.`,
		Example: `  fleet-hsm archive --keep 10 --plan
  fleet-hsm archive --keep 10
  fleet-hsm archive --keep 10 --cold-key "pkcs11:token=fleet;object=archive"
  fleet-hsm archive --undo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runArchive(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.keep, "keep", 0, "how many of the newest versions stay, for each component and platform (default: retention: in the configuration)")
	f.BoolVar(&o.undo, "undo", false, "bring everything back into targets.json")
	f.BoolVar(&o.plan, "plan", false, "say what it takes and what agents gain, and write nothing")
	f.BoolVar(&o.dryRun, "dry-run", false, "only list what would move")
	f.Var((*many)(&o.coldKeys), "cold-key", "a key of the cold roles, of the complete set (URI; default: those they have, or those of targets)")
	o.changeFlags.add(f, meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp)
	return cmd
}

// archiveResult is archive with --json.
type archiveResult struct {
	committed
	edit.ArchiveResult
	DryRun bool `json:"dry_run"`
	workflow.Effort
}

// archive reads what the flags ask for.
func (o archiveOptions) archive(w *workflow.Session) (edit.Archiving, error) {
	ar := edit.Archiving{Retention: w.Config.Keeps(o.keep, 0), Undo: o.undo}
	switch {
	case o.keep < 0:
		return ar, usagef("--keep %d: at least the newest version stays", o.keep)
	case o.undo && o.keep > 0:
		return ar, usagef("--undo brings everything back; --keep does not go with it")
	case o.undo && len(o.coldKeys) > 0:
		return ar, usagef("--undo empties the cold roles; change their keys before or after it")
	case o.keep == 0 && len(o.coldKeys) > 0 && !o.undo:
		ar.Keep = math.MaxInt32 // keys alone
	case ar.Keep == 0 && !o.undo:
		return ar, usagef(`archive needs --keep N, or "retention: {keep: N}" in the configuration`)
	}
	return ar, nil
}

func (a *app) runArchive(ctx context.Context, o archiveOptions) error {
	if o.plan || o.dryRun {
		return a.runArchivePlan(ctx, o)
	}
	w, err := a.openToChange(ctx, "archive", o.changeFlags, rootInForce)
	if err != nil {
		return err
	}
	defer w.End()
	w.UnlockWhileAsking()
	ar, err := o.archive(w)
	if err != nil {
		return err
	}
	if ar.Keys, err = w.ColdKeys(ctx, o.coldKeys); err != nil {
		return err
	}
	c, res, err := edit.Archive(w.Repo, w.Published, w.Staged, ar, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	effort, err := w.EffortOf(c)
	if err != nil {
		return err
	}
	out := &archiveResult{ArchiveResult: res, Effort: effort}
	if !a.json {
		out.text(a.talk, o)
	}
	a.tellArchive(w, o, res)
	if err := a.confirm(ctx, w, o.question(res)); err != nil {
		return err
	}
	versions, err := w.FinishTargets(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	out.committed = a.committed("archive", versions)
	return a.print(out, func(*prompt.Writer) {})
}

// tellArchive says what is different from now on.
func (a *app) tellArchive(w *workflow.Session, o archiveOptions, res edit.ArchiveResult) {
	for _, path := range res.Stay {
		a.warn("%s stays in targets.json: not every client would find a path with such signs in a cold role", prompt.Path(path))
	}
	if o.undo {
		a.note("the cold roles stay, empty: agents refuse a repository that loses one; they are renewed with targets")
		return
	}
	if len(w.Published.Cold()) > 0 {
		return
	}
	a.note(`from now on do not write to this folder with fleetctl: its "add" fails on a component that has a cold role and leaves staged/ behind, and its "rotate targets" leaves the cold roles to the old key`)
	a.note(`cold roles cannot be taken away again; "fleet-hsm archive --undo" empties them, and "fleet-hsm rotate targets --renew" renews them with targets`)
}

func (o archiveOptions) question(res edit.ArchiveResult) string {
	switch {
	case o.undo:
		return fmt.Sprintf("Bring %d targets back?", res.Moved)
	case res.Moved == 0:
		return fmt.Sprintf("Sign %d cold roles with other keys?", len(res.Roles))
	}
	return fmt.Sprintf("Archive %d targets?", res.Moved)
}

// text is the plan for people.
func (r *archiveResult) text(w *prompt.Writer, o archiveOptions) {
	verb, into := "moves", "into"
	if o.undo {
		verb, into = "brings back", "from"
	}
	w.Printf("%-12s %d of %d targets %s %d cold roles\n", verb, r.Moved, r.Before+max(0, r.After-r.Before), into, len(r.Roles))
	total, cold := 0, 0
	for _, s := range r.Signatures {
		total += s.Need
		if !meta.IsRole(s.Role) {
			cold += s.Need
		}
	}
	w.Printf("%-12s %d, of them %d of cold roles\n", "signatures", total, cold)
	w.Printf("%-12s %s (%s with gzip) after each release now, %s (%s) afterwards\n", "agents fetch",
		prompt.Size(r.AgentBefore.Bytes), prompt.Size(r.AgentBefore.Gzip), prompt.Size(r.AgentAfter.Bytes), prompt.Size(r.AgentAfter.Gzip))
}

// list names each cold role and what is in it.
func (r *archiveResult) list(w *prompt.Writer) {
	for _, ro := range r.Roles {
		var patterns []string
		for _, p := range ro.Patterns {
			patterns = append(patterns, prompt.Path(p).String())
		}
		w.Printf("  %s: %d targets, %d before (%s)\n", prompt.Name(ro.Name), ro.After, ro.Before, strings.Join(patterns, ", "))
	}
}
