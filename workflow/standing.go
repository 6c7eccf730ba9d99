package workflow

import (
	"context"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Standing says what is wrong with the history in the folder: files that went back,
// versions that are lost, roots that are missing.
func (w *Session) Standing() ([]error, error) {
	found, err := w.Repo.Standing(w.Published)
	if err != nil {
		return nil, err
	}
	err = w.Repo.CheckChain(w.Published)
	if err != nil && !errors.As(err, new(*meta.RefusedError)) {
		return nil, err
	}
	if err != nil {
		found = append(found, err)
	}
	return found, nil
}

// MeetStale remembers a store's timestamp where ours is not above it, so that the next one
// is; nil for none. What is no timestamp of this repository is not remembered. It gives the
// error that told of it.
func (w *Session) MeetStale(ctx context.Context, timestamp []byte, err error) error {
	if timestamp == nil {
		return err
	}
	if w.Lock == nil {
		lock, lerr := w.Repo.Lock(ctx, w.opts.Command, w.opts.LockTimeout)
		if lerr != nil {
			return errors.Join(err, lerr)
		}
		defer lock.Unlock()
	}
	if rerr := w.Repo.RememberTimestamp(timestamp); rerr != nil {
		w.warn("the store's timestamp is not remembered: %v", rerr)
	}
	return err
}
