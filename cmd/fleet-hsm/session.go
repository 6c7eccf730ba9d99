package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/review"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// session is what a command does to the repository of --path; it holds no lock yet.
func (a *app) session(command string) (*workflow.Session, error) {
	keys, err := a.plain()
	if err != nil {
		return nil, err
	}
	return workflow.New(workflow.Options{
		Command: command, Folder: a.path, Repo: a.repo(), Keys: keys, Config: a.cfg, Person: a.person(), Talk: talker{a},
		Log: a.log, LockTimeout: a.lockTimeoutValue(), Yes: a.yes, DryRun: a.dryRun,
	}), nil
}

// begin takes the lock. What cron does every day is logged only if something is signed.
func (a *app) begin(ctx context.Context, name string) (*workflow.Session, error) {
	w, err := a.session(name)
	if err != nil {
		return nil, err
	}
	return w, w.Begin(ctx, name == "init", name == "timestamp")
}

// open is begin for commands that change what is published: all of it is loaded and
// verified.
func (a *app) open(ctx context.Context, name string) (*workflow.Session, error) {
	w, err := a.session(name)
	if err != nil {
		return nil, err
	}
	return w, w.Open(ctx)
}

// look is for commands that only read.
func (a *app) look() (*workflow.Session, error) {
	w, err := a.session("")
	if err != nil {
		return nil, err
	}
	return w, w.Look()
}

// lookPublished is look where init must be done.
func (a *app) lookPublished() (*workflow.Session, error) {
	w, err := a.look()
	if err != nil {
		return nil, err
	}
	return w, w.NeedPublished()
}

// changeFlags are those of commands that change what is published.
type changeFlags struct {
	stageOnly, allowShorter bool
	dropStaged              bool
	reviewed                []string
	keys                    roleKeyFlags
}

func (o *changeFlags) add(f *pflag.FlagSet, roles ...string) {
	f.BoolVar(&o.stageOnly, "stage-only", false, "stage the change and sign nothing")
	addReviewed(f, &o.reviewed)
	f.BoolVar(&o.dropStaged, "drop-staged", false, "drop what is staged already, such as what an earlier command that failed left, and begin afresh")
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	o.keys = addRoleKeyFlags(f, roles...)
}

// openToChange opens the repository for a change and takes along what is staged. refuse
// are refusals that come before that.
func (a *app) openToChange(ctx context.Context, name string, o changeFlags, refuse ...func(*workflow.Session) error) (*workflow.Session, error) {
	w, err := a.open(ctx, name)
	if err != nil {
		return nil, err
	}
	steps := slices.Concat([]func(*workflow.Session) error{
		(*workflow.Session).NeedPublished,
		func(w *workflow.Session) error { return o.keys.use(w.Keys) },
	}, refuse, []func(*workflow.Session) error{
		func(w *workflow.Session) error { return w.Join(o.reviewed, o.stageOnly, o.dropStaged) },
	})
	for _, step := range steps {
		if err := step(w); err != nil {
			w.End()
			return nil, err
		}
	}
	return w, nil
}

// rootInForce refuses to sign under a root that has expired.
func rootInForce(w *workflow.Session) error { return w.Published.Expired(w.Repo.Now(), meta.RoleRoot) }

// talker is how a session talks.
type talker struct{ a *app }

func (t talker) Note(format string, args ...any)        { t.a.note(format, args...) }
func (t talker) Warn(format string, args ...any)        { t.a.warn(format, args...) }
func (t talker) Keep(note string)                       { t.a.notes = append(t.a.notes, note) }
func (t talker) CanReview() error                       { return t.a.talk.Narrow() }
func (t talker) Review(r diff.Review)                   { review.Show(t.a.talk, r, t.a.keys) }
func (t talker) Quote(s string) string                  { return prompt.Quote(s).String() }
func (t talker) Name(s string) string                   { return prompt.Name(s).String() }
func (t talker) Progress(what string) workflow.Progress { return t.a.progress(what) }
func (t talker) Path(s string) string                   { return prompt.Path(s).String() }

func (t talker) StaysStaged(next string) {
	t.a.note(`the change stays staged: "fleet-hsm review" shows it, "fleet-hsm %s" goes on with it, "fleet-hsm discard" drops it`, next)
}

func (t talker) StagedUnsigned(d *meta.Doc) {
	t.a.note(`staged %s v%d, unsigned; "fleet-hsm review" shows it, "fleet-hsm sign" signs it, "fleet-hsm discard" drops it`, d.Role(), d.Version())
}

func (t talker) Leftovers(files []string) {
	if len(files) == 0 {
		return
	}
	shown := strings.Join(files[:min(3, len(files))], ", ")
	if n := len(files) - 3; n > 0 {
		shown += fmt.Sprintf(" and %d more", n)
	}
	if edit.StagedRoot(files) {
		t.a.warn(`staged/ holds a root.json (%s): of the tuf tool, while people sign it, or left by fleetctl when it failed; nothing of it is used or published here. "tuf commit" publishes it; "fleet-hsm discard" moves staged/ aside`, shown)
		return
	}
	t.a.warn(`fleetctl left %s behind when it failed; nothing of it is used or published, "fleet-hsm discard" clears it`, shown)
}

// committed is what a command that published says with --json.
type committed struct {
	Schema   int              `json:"schema"`
	Command  string           `json:"command"`
	Versions map[string]int64 `json:"published"`
	// Changed is false where all was published already, and absent elsewhere.
	Changed *bool    `json:"changed,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

func (a *app) committed(command string, versions map[string]int64, notes ...string) committed {
	return committed{Schema: 1, Command: command, Versions: versions, Notes: slices.Concat(a.notes, notes)}
}

// report prints the result of a command that published.
func (a *app) report(command string, versions map[string]int64, notes ...string) error {
	return a.print(a.committed(command, versions, notes...), func(*prompt.Writer) {})
}

// reportUnchanged is the result of a command that found everything done.
func (a *app) reportUnchanged(command string, notes ...string) error {
	return a.print(a.unchanged(command, notes...), func(*prompt.Writer) {})
}

func (a *app) unchanged(command string, notes ...string) committed {
	a.note("all of it is published already; nothing to do")
	res := a.committed(command, nil, notes...)
	res.Changed = new(bool)
	return res
}

// done reports whether a command was given a second time: what it would do is published.
// While a change waits, it may be that which does it, and is named.
func done(w *workflow.Session, err error) bool {
	var refused *meta.RefusedError
	return errors.As(err, &refused) && refused.Kind == meta.NoChange && w.Staged == nil
}

// confirm asks before files or targets go, where somebody can be asked and --yes did not
// answer.
func (a *app) confirm(ctx context.Context, w *workflow.Session, question string) error {
	if a.yes || a.dryRun || !w.UI.HasTerminal() {
		return nil
	}
	return w.UI.Confirm(ctx, question)
}
