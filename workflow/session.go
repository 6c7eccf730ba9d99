package workflow

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Session is what one command does to a repository: it holds the lock, what is published
// and the staged change.
type Session struct {
	opts Options
	Repo *repo.Repo
	Lock *repo.Lock
	Keys *keyring.Ring
	// UI is who is asked: see unlocked.go.
	UI     Person
	Config *config.Config
	// Published is nil in init.
	Published *repo.Published
	Staged    *repo.Change // nil if nothing is staged
	// change is what this command stages and publishes, once it is made.
	change *repo.Change
	// provisional: it is in pending/ only because a person is asked.
	provisional bool
	// joined: what this command signs was staged in part before it came.
	joined bool
	// earlier is what was staged before it, nil for nothing.
	earlier []byte
	// LockLost says why the command may write no more: what became of the lock, or of what
	// it protects, while a person was asked.
	LockLost error
	// Maker opens or makes new keys.
	Maker *keyring.Maker
}

// Options are what a session needs of the command.
type Options struct {
	// Command names it, to whoever finds the repository locked and in the transcript.
	Command string
	// Folder is that of the repository.
	Folder string
	Repo   *repo.Repo
	Keys   *keyring.Ring
	Config *config.Config
	Person Person
	Talk   Talk
	Log    *Transcript
	// LockTimeout is how long another command is waited for.
	LockTimeout time.Duration
	// DryRun ends the command where signing would begin: see [Rehearsal].
	DryRun bool
	// Yes answers for a change of this command's own.
	Yes bool
}

// Person is who is asked: for secrets, devices, and a yes.
type Person interface {
	keyring.UI
	// Asks reports whether somebody would be asked for a secret, HasTerminal whether
	// somebody can be asked at all.
	Asks(r signer.SecretRequest) bool
	HasTerminal() bool
	// Confirm asks for a typed yes.
	Confirm(ctx context.Context, question string) error
}

// Talk is where words for people go.
type Talk interface {
	Note(format string, args ...any)
	Warn(format string, args ...any)
	// Keep notes something for the result of the command.
	Keep(note string)
	// CanReview says why a review could not be read there, nil if it can.
	CanReview() error
	// Review shows what a signature would mean, as somebody who is about to say yes reads it.
	Review(review diff.Review)
	// Quote shows a sentence that somebody wrote, Name what somebody calls something, Path a
	// target path.
	Quote(s string) string
	Name(s string) string
	Path(s string) string
	// StaysStaged says that a change waits, and which command goes on with it (sign or
	// commit); StagedUnsigned that nobody has signed it yet; Leftovers what a failed fleetctl
	// left, if anything. The commands that lead on are the command line's.
	StaysStaged(next string)
	StagedUnsigned(d *meta.Doc)
	Leftovers(files []string)
	// Progress shows how far something is that takes time.
	Progress(what string) Progress
}

// Progress is what takes time, as people see it.
type Progress interface {
	Draw(done, total int64)
	End()
}

// New is a session without the lock, for a command that only reads, or that takes it
// later.
func New(o Options) *Session {
	return &Session{opts: o, Repo: o.Repo, Keys: o.Keys, Config: o.Config, UI: o.Person, Maker: o.Keys.NewMaker()}
}

// Begin takes the lock and says what an earlier, interrupted command left. quiet: the
// transcript begins only if something is signed.
func (w *Session) Begin(ctx context.Context, making, quiet bool) error {
	return w.begin(ctx, making, quiet, w.Repo.Lock)
}

// BeginToMend is Begin for who mends the folder; see [repo.Repo.LockToMend].
func (w *Session) BeginToMend(ctx context.Context) error {
	return w.begin(ctx, false, false, w.Repo.LockToMend)
}

type takeLock func(ctx context.Context, name string, timeout time.Duration) (*repo.Lock, error)

func (w *Session) begin(ctx context.Context, making, quiet bool, take takeLock) (err error) {
	if !making {
		// A wrong --path is told before a lock is left in it.
		if err := w.Repo.CheckThere(); err != nil {
			return err
		}
	}
	if w.opts.DryRun {
		w.Repo.Rehearse(w.opts.Command)
		return nil
	}
	if w.Lock, err = take(ctx, w.opts.Command, w.opts.LockTimeout); err != nil {
		return err
	}
	w.opts.Log.Command = w.opts.Command
	if !quiet {
		if err := w.opts.Log.Start(w.opts.Command); err != nil {
			w.Lock.Unlock()
			return err
		}
	}
	for _, s := range w.Lock.Recovered {
		w.note("%s", s)
	}
	left, err := edit.FleetctlLeftovers(w.Repo)
	if err != nil {
		w.End()
		return err
	}
	w.opts.Talk.Leftovers(left)
	return nil
}

func (w *Session) note(format string, args ...any) { w.opts.Talk.Note(format, args...) }
func (w *Session) warn(format string, args ...any) { w.opts.Talk.Warn(format, args...) }

// LoadToChange is load, and refuses a folder that went back before anything is copied,
// made or asked.
func (w *Session) LoadToChange() error {
	if err := w.Load(); err != nil || w.Published == nil {
		return err
	}
	return w.Repo.CheckStanding(w.Published)
}

// Load reads what is published and staged.
func (w *Session) Load() error {
	p, err := w.Repo.Load()
	if errors.Is(err, repo.ErrNoRepository) {
		// init may be waiting for its second key.
		staged, serr := w.Repo.Staged(nil)
		if serr != nil {
			return err
		}
		w.Staged = staged
		return nil
	}
	if err != nil {
		return err
	}
	w.Published = p
	for _, s := range p.Warnings {
		w.warn("%s", s)
	}
	w.Staged, err = w.Repo.Staged(p)
	if errors.Is(err, repo.ErrNothingStaged) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range w.Staged.Warnings {
		w.warn("%s", s)
	}
	return nil
}

// NeedPublished refuses while init still waits for signatures.
func (w *Session) NeedPublished() error {
	if w.Published == nil {
		return &meta.RefusedError{Kind: meta.ChangeWaits, Text: "the new repository is staged and not published yet"}
	}
	return nil
}

// End clears content that no change uses (a copy that failed, a disk that is full)
// and lets others in.
func (w *Session) End() {
	if w.Lock == nil {
		return
	}
	if err := w.Repo.DropContent(); err != nil {
		w.warn("clearing pending/content: %v", err)
	}
	w.Lock.Unlock()
	w.Lock = nil
}

// StageOptions are those of every change.
func (w *Session) StageOptions(allowShorter bool) repo.StageOptions {
	return repo.StageOptions{Expiries: w.Config.Expiries, AllowShorter: allowShorter}
}

// PublishOptions are what commands that publish differ in.
type PublishOptions struct {
	AllowShorter     bool
	WithoutTimestamp bool
	// SignNothing: root and targets are not signed here (commit).
	SignNothing bool
}

// StageOnly leaves a change for others to sign.
func (w *Session) StageOnly(c *repo.Change) error {
	if w.opts.DryRun {
		return w.rehearse(c, PublishOptions{})
	}
	if err := w.Repo.Save(c); err != nil {
		return err
	}
	// What it was staged on is remembered, whoever published it: agents may have it, and an
	// older copy may be put back before the change is committed.
	if w.Published != nil {
		if err := w.Repo.Remember(w.Published); err != nil {
			return err
		}
	}
	w.Maker.TellNews()
	for _, d := range c.Docs() {
		w.opts.Talk.StagedUnsigned(d)
	}
	return nil
}

// Open is Begin for commands that change what is published: it also loads and verifies
// everything, and the staged change.
func (w *Session) Open(ctx context.Context) error {
	if err := w.Begin(ctx, false, false); err != nil {
		return err
	}
	err := w.LoadToChange()
	if err != nil {
		w.End()
	}
	return err
}

// Look loads what is published and staged for a command that only reads: no lock, nothing
// written.
func (w *Session) Look() error {
	interrupted, err := w.Repo.InterruptedCommit()
	if err != nil {
		return err
	}
	if interrupted {
		w.warn("a commit was interrupted; the next command that writes finishes it")
	}
	left, err := edit.FleetctlLeftovers(w.Repo)
	if err != nil {
		return err
	}
	w.opts.Talk.Leftovers(left)
	if err := w.Load(); err != nil && !(interrupted && errors.Is(err, meta.ErrRefused)) {
		return err
	}
	return nil
}

// within gives a path below the folder as a person would type it.
func (w *Session) within(elem ...string) string {
	return filepath.Join(append([]string{w.opts.Folder}, elem...)...)
}
