package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
)

// Nobody waits for a person, least of all a timestamp from cron. While somebody is
// asked for a card, a PIN, a touch or a yes, the lock is let go; the change, as far as
// it is signed, stays in pending/ meanwhile, where others see it. Afterwards the lock
// is taken again and everything must be as it was, but for snapshot and timestamp,
// which are built last. Who is asked nothing never lets go.

// letOthersIn makes every question of this command such a moment.
func (w *work) letOthersIn() { w.a.askUI().meanwhile = w.meanwhile }

// meanwhile lets go of the lock and gives what takes it again.
func (w *work) meanwhile(ctx context.Context) (back func() error, err error) {
	unborn := w.p == nil && w.change == nil // keys of an init: nothing is published that cron could sign
	if w.lock == nil || unborn {
		return func() error { return w.lost }, nil
	}
	if err := w.leaveInPending(); err != nil {
		return nil, err
	}
	files, err := w.files()
	if err != nil {
		return nil, err
	}
	w.lock.Unlock()
	w.lock = nil
	return func() error {
		w.lost = w.retake(ctx, files)
		return w.lost
	}, nil
}

// leaveInPending saves the change for the time of the question, and keeps in mind what
// was staged before.
func (w *work) leaveInPending() (err error) {
	if w.change == nil {
		return nil
	}
	if w.change.Fresh && !w.waiting {
		if w.earlier, err = w.r.StagedFile(); err != nil {
			return err
		}
		w.waiting = true
	}
	return w.r.Save(w.change)
}

// retake takes the lock again and looks whether all is as it was. What a person has
// just given is not thrown away by Ctrl-C.
func (w *work) retake(ctx context.Context, files string) error {
	lock, err := w.r.Lock(context.WithoutCancel(ctx), w.a.log.command, w.a.lockTimeoutValue())
	if err != nil {
		return err
	}
	w.lock = lock
	for _, s := range lock.Recovered {
		w.a.note("%s", s)
	}
	if err := w.samePublished(); err != nil {
		return err
	}
	if err := w.sameStaged(); err != nil {
		return err
	}
	now, err := w.files()
	if err == nil && now != files {
		err = movedMeanwhile("the keys or the staged change were changed")
	}
	return err
}

// movedMeanwhile is a refusal for what happened while a person was asked.
func movedMeanwhile(what string) error {
	return &repo.RefusedError{Kind: repo.PublishedMoved, Text: what + " while this command was waiting for an answer; it stopped"}
}

// samePublished looks at what is published. Another snapshot or timestamp is welcome:
// the release is built over them.
func (w *work) samePublished() error {
	p, err := w.r.Load()
	if errors.Is(err, repo.ErrNoRepository) && w.p == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if w.p == nil || p.VersionOf(repo.RoleRoot) != w.p.VersionOf(repo.RoleRoot) || p.VersionOf(repo.RoleTargets) != w.p.VersionOf(repo.RoleTargets) {
		return movedMeanwhile(fmt.Sprintf("root v%d and targets v%d were published", p.VersionOf(repo.RoleRoot), p.VersionOf(repo.RoleTargets)))
	}
	if p.VersionOf(repo.RoleSnapshot) != w.p.VersionOf(repo.RoleSnapshot) || p.VersionOf(repo.RoleTimestamp) != w.p.VersionOf(repo.RoleTimestamp) {
		w.p = p
	}
	return nil
}

// sameStaged looks at the staged change, and takes the signatures that others gave to
// it.
func (w *work) sameStaged() error {
	if w.change == nil {
		return nil // see files
	}
	staged, err := w.r.Staged(w.p)
	if errors.Is(err, repo.ErrNothingStaged) {
		// Nobody has it any more, so keys that were made for it can go too.
		w.change.Fresh = w.waiting
		return movedMeanwhile("the staged change was dropped")
	}
	if err != nil {
		return err
	}
	got, err := w.change.Merge(staged)
	if err != nil {
		return fmt.Errorf("the staged change is another one now: %w", err)
	}
	for _, m := range got {
		w.waiting = w.waiting && len(m.Added) == 0
	}
	return nil
}

// files tells what was read before a question, and will be written back after it, from
// anything that comes later: the files in keys/, and the staged change while this
// command has none of its own.
func (w *work) files() (string, error) {
	var b strings.Builder
	list, err := os.ReadDir(w.a.within("keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	names := []string{}
	for _, e := range list {
		names = append(names, w.a.within("keys", e.Name()))
	}
	if w.change == nil {
		names = append(names, w.a.within("pending", "change.json"))
	}
	for _, name := range names {
		st, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, name, st.Size(), st.ModTime().UnixNano())
	}
	return b.String(), nil
}

// keep saves a change after a signature that cost a person something.
func (w *work) keep(c *repo.Change) error {
	if w.lost != nil {
		return fmt.Errorf("the signature was not kept: %w", w.lost)
	}
	w.waiting = false
	return w.r.Save(c)
}

// withdraw takes a change out of pending/ that is there only because a person was
// asked; what waited there before waits on.
func (w *work) withdraw(c *repo.Change) error {
	if !w.waiting || w.lost != nil {
		return nil
	}
	w.waiting = false
	return w.r.Withdraw(c, w.earlier)
}
