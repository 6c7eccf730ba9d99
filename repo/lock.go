package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
)

// Lock keeps other writers out until Unlock. It finishes an interrupted commit and
// clears what an interrupted command left below pending/, so whoever holds it sees a
// whole repository.
type Lock struct {
	f *os.File
	// Recovered says in words what an earlier, interrupted command left and what was
	// done about it; nil if nothing was.
	Recovered []string
}

// Lock takes the lock, waiting at most timeout. name is what others are told of the
// holder, and what it stages is marked with. Errors: *LockedError, ctx.Err(),
// *RefusedError{PathTaken} for links in pending/,
// *RefusedError{LostFile} for an interrupted commit that cannot be finished.
func (r *Repo) Lock(ctx context.Context, name string, timeout time.Duration) (*Lock, error) {
	return r.lock(ctx, name, timeout, false)
}

// LockToMend is Lock for who mends the folder: an interrupted commit whose files are lost in
// part, which Lock refuses, is finished without them, or dropped if clients have seen
// nothing of it. So is a journal that no commit has written.
func (r *Repo) LockToMend(ctx context.Context, name string, timeout time.Duration) (*Lock, error) {
	return r.lock(ctx, name, timeout, true)
}

func (r *Repo) lock(ctx context.Context, name string, timeout time.Duration, mending bool) (*Lock, error) {
	if err := r.makePending(); err != nil {
		return nil, err
	}
	if err := r.checkPending(); err != nil {
		return nil, err
	}
	r.command = name
	f, err := os.OpenFile(r.pending("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := r.flock(ctx, f, timeout); err != nil {
		_ = f.Close()
		return nil, err
	}
	// What stands in the lock is only talk for whoever waits; the lock is the system's. It is
	// written over and not cut first: that would cost the disk a block given back and
	// taken again, as much time as all else here.
	_, _ = f.WriteAt(fmt.Appendf(nil, "%-*s", holderSize, fmt.Sprintf("%s (process %d)", name, os.Getpid())), 0)
	l := &Lock{f: f}
	l.Recovered, err = r.recover(mending)
	if err != nil {
		l.Unlock()
		return nil, err
	}
	return l, nil
}

func (r *Repo) makePending() error {
	if err := os.Mkdir(r.pending(), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (r *Repo) flock(ctx context.Context, f *os.File, timeout time.Duration) error {
	inTime, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := osfile.Lock(inTime, f)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return &LockedError{Path: f.Name(), Waited: timeout, Holder: holder(f)}
	}
	return err
}

// holderSize is the length in bytes of what says who holds a lock, blanks and all.
const holderSize = 64

func holder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 200))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Unlock lets others in. It is idempotent.
func (l *Lock) Unlock() {
	if l == nil || l.f == nil {
		return
	}
	// Closing releases the lock; the file stays, since removing it would
	// let two processes hold locks on two files of one name.
	_ = l.f.Close()
	l.f = nil
}
