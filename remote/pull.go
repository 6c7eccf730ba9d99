package remote

import (
	"context"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// PullOptions say what is brought into a folder, and how.
type PullOptions struct {
	Folder string
	// Root is trusted: nil for the oldest one in the folder.
	Root     []byte
	Targets  bool
	Parallel int
	Progress func(store.Progress)
}

// Pull brings what is published into the folder of a repository, verified, never backwards;
// the lock is held. Errors: *StoreError.
func Pull(ctx context.Context, r *repo.Repo, s store.Store, o PullOptions) (store.PullResult, error) {
	res, err := store.Pull(ctx, s, store.PullOptions{
		Dir: webRoot(o.Folder), Targets: o.Targets, Ledger: ledger(o.Folder), Parallel: o.Parallel, Progress: o.Progress,
		Root: o.Root, Follows: meta.FollowsRoot, Accepts: meta.Accepts, AcceptsCold: meta.AcceptsCold,
		Verify: func(ctx context.Context, get store.Fetch) error {
			err := verify.Refresh(ctx, o.Root, nil, verify.Get(get))
			if err == nil || errors.Is(err, context.Canceled) {
				return err
			}
			return &RejectedError{err}
		},
	})
	if err != nil {
		return res, &StoreError{Err: err}
	}
	return res, remember(r)
}

// remember notes what was pulled as published.
func remember(r *repo.Repo) error {
	p, err := r.Load()
	if err != nil {
		return err
	}
	if err := r.Remember(p); err != nil {
		return err
	}
	// Nothing that a store has heals this one, so it is not called done.
	var refused *meta.RefusedError
	if err := r.CheckStanding(p); errors.As(err, &refused) && refused.Kind == meta.RootTwice {
		return err
	}
	return nil
}

// RootToTrust reads --root FILE, or the oldest root in the folder.
func RootToTrust(folder, file string) ([]byte, error) {
	if file != "" {
		return ReadRoot(file)
	}
	root, err := OldestRoot(folder)
	if err != nil {
		return nil, misuse.Errorf("name the root that you trust with --root FILE: there is none in %q", webRoot(folder))
	}
	return root, nil
}
