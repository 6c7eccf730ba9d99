package workflow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Nobody waits for a person, least of all a timestamp from cron. While somebody is
// asked for a review, a PIN, a touch or a yes, the lock is let go; the change, as far as
// it is signed, stays in pending/ meanwhile, where others see it. Afterwards the lock
// is taken again and everything must be as it was, but for snapshot and timestamp,
// which are built last. Who is asked nothing never lets go.

// unlocked is the person asked by who holds the repository's lock: it is let go for the
// time of each question, and taken again before the answer counts.
type unlocked struct {
	Person
	w *Session
}

// UnlockWhileAsking makes every question of this command such a moment, from here on.
func (w *Session) UnlockWhileAsking() { w.UI = unlocked{w.opts.Person, w} }

// StayLocked ends that.
func (w *Session) StayLocked() { w.UI = w.opts.Person }

// aside asks without the lock. What became of it meanwhile is an error of its own.
func aside[T any](ctx context.Context, w *Session, ask func() (T, error)) (T, error) {
	var none T
	back, err := w.unlock(ctx)
	if err != nil {
		return none, err
	}
	answer, err := ask()
	if lost := back(); err == nil {
		err = lost
	}
	if err != nil {
		return none, err
	}
	return answer, nil
}

// Secret implements signer.UI. A source that is no person is asked with the lock held.
func (u unlocked) Secret(ctx context.Context, r signer.SecretRequest) (signer.Secret, error) {
	if !u.Asks(r) {
		return u.Person.Secret(ctx, r)
	}
	return aside(ctx, u.w, func() (signer.Secret, error) { return u.Person.Secret(ctx, r) })
}

// Touch implements signer.UI. What came of it meanwhile is told when the signature is kept.
func (u unlocked) Touch(ctx context.Context, r signer.TouchRequest) func() {
	back, err := u.w.unlock(ctx)
	done := u.Person.Touch(ctx, r)
	if err != nil {
		return done
	}
	return sync.OnceFunc(func() {
		done()
		_ = back()
	})
}

// Insert implements signer.UI.
func (u unlocked) Insert(ctx context.Context, r signer.InsertRequest) error {
	if !u.HasTerminal() {
		return u.Person.Insert(ctx, r)
	}
	_, err := aside(ctx, u.w, func() (struct{}, error) { return struct{}{}, u.Person.Insert(ctx, r) })
	return err
}

// InsertAny implements keyring.UI.
func (u unlocked) InsertAny(ctx context.Context, places []signer.URI, role string) (bool, error) {
	if !u.HasTerminal() {
		return u.Person.InsertAny(ctx, places, role)
	}
	return aside(ctx, u.w, func() (bool, error) { return u.Person.InsertAny(ctx, places, role) })
}

// OnceMore implements keyring.UI.
func (u unlocked) OnceMore(ctx context.Context, at signer.URI) bool {
	if !u.HasTerminal() {
		return false
	}
	again, err := aside(ctx, u.w, func() (bool, error) { return u.Person.OnceMore(ctx, at), nil })
	return err == nil && again
}

// Confirm implements Person.
func (u unlocked) Confirm(ctx context.Context, question string) error {
	if !u.HasTerminal() {
		return u.Person.Confirm(ctx, question)
	}
	_, err := aside(ctx, u.w, func() (struct{}, error) { return struct{}{}, u.Person.Confirm(ctx, question) })
	return err
}

// unlock lets go of the lock and gives what takes it again.
func (w *Session) unlock(ctx context.Context) (back func() error, err error) {
	unborn := w.Published == nil && w.change == nil // keys of an init: nothing is published that cron could sign
	if w.Lock == nil || unborn {
		return func() error { return w.LockLost }, nil
	}
	if err := w.leaveInPending(); err != nil {
		return nil, err
	}
	files, err := w.files()
	if err != nil {
		return nil, err
	}
	w.Lock.Unlock()
	w.Lock = nil
	return func() error {
		w.LockLost = w.retake(ctx, files)
		return w.LockLost
	}, nil
}

// leaveInPending saves the change for the time of the question, and keeps in mind what
// was staged before.
func (w *Session) leaveInPending() (err error) {
	if w.change == nil {
		return nil
	}
	if w.change.Fresh && !w.provisional {
		if w.earlier, err = w.Repo.StagedFile(); err != nil {
			return err
		}
		w.provisional = true
	}
	return w.Repo.Save(w.change)
}

// retake takes the lock again and looks whether all is as it was. What a person has
// just given is not thrown away by Ctrl-C.
func (w *Session) retake(ctx context.Context, files string) error {
	lock, err := w.Repo.Lock(context.WithoutCancel(ctx), w.opts.Command, w.opts.LockTimeout)
	if err != nil {
		return err
	}
	w.Lock = lock
	for _, s := range lock.Recovered {
		w.note("%s", s)
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
	return &meta.RefusedError{Kind: meta.PublishedMoved, Text: what + " while this command was waiting for an answer; it stopped"}
}

// samePublished looks at what is published. Another snapshot or timestamp is welcome:
// the release is built over them.
func (w *Session) samePublished() error {
	p, err := w.Repo.Load()
	if errors.Is(err, repo.ErrNoRepository) && w.Published == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if w.Published == nil || p.VersionOf(meta.RoleRoot) != w.Published.VersionOf(meta.RoleRoot) || p.VersionOf(meta.RoleTargets) != w.Published.VersionOf(meta.RoleTargets) {
		return movedMeanwhile(fmt.Sprintf("root v%d and targets v%d were published", p.VersionOf(meta.RoleRoot), p.VersionOf(meta.RoleTargets)))
	}
	if p.VersionOf(meta.RoleSnapshot) != w.Published.VersionOf(meta.RoleSnapshot) || p.VersionOf(meta.RoleTimestamp) != w.Published.VersionOf(meta.RoleTimestamp) {
		w.Published = p
	}
	return nil
}

// sameStaged looks at the staged change, and takes the signatures that others gave to
// it.
func (w *Session) sameStaged() error {
	if w.change == nil {
		return nil // see files
	}
	staged, err := w.Repo.Staged(w.Published)
	if errors.Is(err, repo.ErrNothingStaged) {
		// Nobody has it any more, so keys that were made for it can go too.
		w.change.Fresh = w.provisional
		return movedMeanwhile("the staged change was dropped")
	}
	if err != nil {
		return err
	}
	got, err := w.change.Merge(staged)
	if err != nil {
		return fmt.Errorf("the staged change has changed since: %w", err)
	}
	for _, m := range got {
		w.provisional = w.provisional && len(m.Added) == 0
	}
	return nil
}

// files tells what was read before a question, and will be written back after it, from
// anything that comes later: the files in keys/, and the staged change while this
// command has none of its own.
func (w *Session) files() (string, error) {
	var b strings.Builder
	list, err := os.ReadDir(filepath.Join(w.opts.Folder, "keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	names := []string{}
	for _, e := range list {
		names = append(names, filepath.Join(w.opts.Folder, "keys", e.Name()))
	}
	if w.change == nil {
		names = append(names, filepath.Join(w.opts.Folder, "pending", "change.json"))
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
func (w *Session) keep(c *repo.Change) error {
	if w.LockLost != nil {
		return fmt.Errorf("the signature was not kept: %w", w.LockLost)
	}
	w.provisional = false
	return w.Repo.Save(c)
}

// withdraw takes a change out of pending/ that is there only because a person was
// asked; what waited there before waits on.
func (w *Session) withdraw(c *repo.Change) error {
	if !w.provisional || w.LockLost != nil {
		return nil
	}
	w.provisional = false
	return w.Repo.Withdraw(c, w.earlier)
}
