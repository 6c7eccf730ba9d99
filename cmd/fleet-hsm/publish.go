package main

import (
	"context"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// work is a session of a command of this program.
type work struct {
	a *app
	*workflow.Session
}

func (a *app) work(command string) (*work, error) {
	if err := a.checkPath(); err != nil {
		return nil, err
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	keys, err := a.keychain()
	if err != nil {
		return nil, err
	}
	s := workflow.New(workflow.Options{
		Command: command, Folder: a.path, Repo: a.repo(), Keys: keys, Config: cfg, Person: a.person(), Talk: talker{a},
		Log: a.log, LockTimeout: a.lockTimeoutValue(), Yes: a.yes,
	})
	return &work{a, s}, nil
}

// begin takes the lock. What cron does every day is logged only if something is signed.
func (a *app) begin(ctx context.Context, name string) (*work, error) {
	w, err := a.work(name)
	if err != nil {
		return nil, err
	}
	if err := w.Session.Begin(ctx, name == "init", name == "timestamp"); err != nil {
		return nil, err
	}
	return w, nil
}

// open is begin for commands that change what is published: it also loads and
// verifies everything, and the staged change.
func (a *app) open(ctx context.Context, name string) (*work, error) {
	w, err := a.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := w.LoadToChange(); err != nil {
		w.End()
		return nil, err
	}
	return w, nil
}

// talker is how a session talks.
type talker struct{ a *app }

func (t talker) Note(format string, args ...any) { t.a.note(format, args...) }
func (t talker) Warn(format string, args ...any) { t.a.warn(format, args...) }
func (t talker) Keep(note string)                { t.a.notes = append(t.a.notes, note) }
func (t talker) CanReview() error                { return t.a.talk.Narrow() }
func (t talker) Review(card repo.Card)           { t.a.showCard(t.a.talk, card, t.a.keys) }
func (t talker) Quote(s string) string           { return prompt.Quote(s).String() }
func (t talker) Path(s string) string            { return prompt.Path(s).String() }

// published is what a command that published says with --json.
type published struct {
	Schema   int              `json:"schema"`
	Command  string           `json:"command"`
	Versions map[string]int64 `json:"published"`
	// Changed is false where all was published already, and absent elsewhere.
	Changed *bool    `json:"changed,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

func (a *app) published(command string, versions map[string]int64, notes ...string) published {
	return published{Schema: 1, Command: command, Versions: versions, Notes: slices.Concat(a.notes, notes)}
}

// report prints the result of a command that published.
func (a *app) report(command string, versions map[string]int64, notes ...string) error {
	return a.print(a.published(command, versions, notes...), func(*prompt.Writer) {})
}

// reportUnchanged is the result of a command that found everything done.
func (a *app) reportUnchanged(command string, notes ...string) error {
	a.note("all of it is published already; nothing to do")
	res := a.published(command, nil, notes...)
	res.Changed = new(bool)
	return a.print(res, func(*prompt.Writer) {})
}
