package remote

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// webRoot is the folder of a repository that is published, ledger what was published from
// here.
func webRoot(folder string) string { return filepath.Join(folder, "repository") }

func ledger(folder string) string { return filepath.Join(folder, "pending", "published.json") }

// OldestRoot is the oldest root in a folder, which an agent that was packaged long ago
// begins with.
func OldestRoot(folder string) ([]byte, error) {
	_, root, err := verify.OldestRoot(webRoot(folder))
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", repo.ErrNoRepository, webRoot(folder), err)
	}
	return root, nil
}

// PublishOptions say what is published from a folder, and how.
type PublishOptions struct {
	Folder string
	// Root is what a client begins with: see [OldestRoot].
	Root                             []byte
	WithoutTimestamp, Recheck, Prune bool
	Grace                            time.Duration
	Parallel                         int
	Progress                         func(store.Progress)
}

// Upload is what a store lacks, and the folder that it comes from.
type Upload struct {
	*store.UploadPlan
	w *workflow.Session
}

// CheckPublishable refuses a folder that must not be published, before a store is asked.
// What cannot be loaded is judged by the plan, file by file.
func CheckPublishable(w *workflow.Session) error {
	p, err := w.Repo.Load()
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	return w.Repo.CheckPublishable(p)
}

// PlanUpload looks what the store lacks and refuses, before the first write, what a client would
// refuse. The session holds the lock until that is settled: an upload of minutes must not
// hold up the daily timestamp. Errors: *StoreError.
func PlanUpload(ctx context.Context, w *workflow.Session, s store.Store, o PublishOptions) (*Upload, error) {
	plan, err := store.MakePlan(ctx, s, store.Options{
		Dir: webRoot(o.Folder), WithoutTimestamp: o.WithoutTimestamp, Recheck: o.Recheck, Prune: o.Prune, Grace: o.Grace,
		Ledger: ledger(o.Folder), Parallel: o.Parallel, Progress: o.Progress, Accepts: meta.Accepts,
		Verify:   func(ctx context.Context) error { return verifyLocal(ctx, webRoot(o.Folder), o.Root) },
		ReadBack: readBack(o.Root),
		Settled:  w.End,
	})
	if err != nil {
		return nil, &StoreError{Err: w.MeetStale(ctx, staleTimestamp(err), err)}
	}
	return &Upload{plan, w}, nil
}

// Publish uploads it. Errors: *StoreError.
func (u *Upload) Publish(ctx context.Context) (store.Result, error) {
	res, err := u.UploadPlan.Publish(ctx)
	if err != nil {
		return res, &StoreError{Err: u.w.MeetStale(ctx, staleTimestamp(err), err), Begun: true}
	}
	return res, nil
}

// staleTimestamp is the store's timestamp where ours is not above it, nil elsewhere.
func staleTimestamp(err error) []byte {
	var stale *store.StaleTimestampError
	if !errors.As(err, &stale) {
		return nil
	}
	return stale.Timestamp
}

// verifyLocal refuses to publish what a client would refuse.
func verifyLocal(ctx context.Context, source string, root []byte) error {
	report, err := verify.Run(ctx, verify.Options{Source: source, Root: root, MetadataOnly: true})
	if err != nil {
		return err
	}
	if !report.OK() {
		return &UnverifiedError{report}
	}
	return nil
}

// readBack is an agent in front of the store. The root that it trusts is older than
// anything that is published.
func readBack(root []byte) func(context.Context, store.Fetch, map[string][]byte) error {
	return func(ctx context.Context, get store.Fetch, before map[string][]byte) error {
		return verify.Refresh(ctx, root, before, verify.Get(get))
	}
}
