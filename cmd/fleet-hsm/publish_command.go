package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type publishFlags struct {
	store                          storeFlags
	dryRun, prune, noStamp, review bool
	grace                          config.Duration
	parallel                       int
}

func (a *app) publishCommand() *cobra.Command {
	o := publishFlags{grace: config.Duration(7 * 24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "publish [URL]",
		Short: "Copy repository/ to a folder or bucket, in the only safe order",
		Long: `publish uploads what the store lacks: content first, timestamp.json last and alone.
It refuses, before the first write, a store that is ahead or holds another history, and
reads back as an agent would. Killed or cut off, it goes on where it stopped when it is
run again. URL is file:///FOLDER or s3://BUCKET/PREFIX?endpoint=...&region=...`,
		Example: `  fleet-hsm publish --dry-run
  fleet-hsm publish "s3://updates/fleet?endpoint=https://s3.example.com&region=eu-1"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("grace") && !o.prune {
				return usagef("--grace goes with --prune")
			}
			return a.runPublish(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	o.store.add(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "only show what would be written and deleted")
	f.BoolVar(&o.noStamp, "without-timestamp", false, "leave the timestamp to the online signer (consistent snapshots only)")
	f.BoolVar(&o.review, "recheck", false, "look at every file in the store, also where its metadata says that it is there")
	f.BoolVar(&o.prune, "prune", false, "delete what no metadata of the last --grace names; never an N.root.json")
	f.Var(&o.grace, "grace", "with --prune: keep what was in force within this time")
	takesNothing(f, "grace", "keep only what is in force now")
	f.IntVar(&o.parallel, "parallel", 8, "how many files to send at once")
	return cmd
}

type publishResult struct {
	Schema      int           `json:"schema"`
	Credentials string        `json:"credentials,omitempty"`
	Plan        *store.Plan   `json:"plan"`
	Done        *store.Result `json:"done,omitempty"`
}

func (a *app) runPublish(ctx context.Context, args []string, o publishFlags) error {
	s, loc, err := a.openStore(args, o.store)
	if err != nil {
		return err
	}
	if err := a.checkApart(loc); err != nil {
		return err
	}
	w, err := a.begin(ctx, "publish")
	if err != nil {
		return err
	}
	defer w.End()
	// What cannot be loaded is judged by the plan, file by file.
	if p, err := w.Repo.Load(); err == nil {
		if err := w.Repo.CheckPublishable(p); err != nil {
			return err
		}
	}
	root, err := a.oldestRoot()
	if err != nil {
		return err
	}
	who, err := a.sayIdentity(ctx, s)
	if err != nil {
		return err
	}
	progress, done := a.barFor("uploading")
	defer done()
	plan, err := store.MakePlan(ctx, s, store.Options{
		Dir: a.within("repository"), WithoutTimestamp: o.noStamp, Recheck: o.review, Prune: o.prune, Grace: time.Duration(o.grace),
		Ledger: a.ledger(), Parallel: o.parallel, Progress: progress, Accepts: repo.Accepts,
		Verify:   func(ctx context.Context) error { return a.verifyLocal(ctx, root) },
		ReadBack: readBack(root),
		Settled:  w.End, // an upload of minutes must not hold up the daily timestamp
	})
	if err != nil {
		return &storeTrouble{err: w.meetStale(ctx, err)}
	}
	for _, s := range plan.Warnings {
		a.warn("%s", s)
	}
	if o.dryRun {
		return a.print(publishResult{Schema: 1, Credentials: who, Plan: plan}, func(out *prompt.Writer) { showPlan(out, plan) })
	}
	result, err := plan.Publish(ctx)
	if err != nil {
		done()
		if plan.Layout == "consistent" && !errors.Is(err, store.ErrReadBack) {
			a.note("not finished; what agents see is whole")
		}
		return &storeTrouble{err: w.meetStale(ctx, err), begun: true}
	}
	a.afterPublish(plan, result)
	return a.print(publishResult{Schema: 1, Credentials: who, Plan: plan, Done: &result}, func(*prompt.Writer) {})
}

// meetStale remembers the store's timestamp where ours is not above it, so that the next
// one is. What is no timestamp of this repository is not remembered.
func (w *work) meetStale(ctx context.Context, err error) error {
	var stale *store.StaleTimestampError
	if !errors.As(err, &stale) {
		return err
	}
	if w.Lock == nil {
		lock, lerr := w.Repo.Lock(ctx, "publish", w.a.lockTimeoutValue())
		if lerr != nil {
			return errors.Join(err, lerr)
		}
		defer lock.Unlock()
	}
	if rerr := w.Repo.RememberTimestamp(stale.Timestamp); rerr != nil {
		w.a.warn("the store's timestamp is not remembered: %v", rerr)
	}
	return err
}

// readBack is an agent in front of the store. The root that it trusts is older than
// anything that is published.
func readBack(root []byte) func(context.Context, store.Fetch, map[string][]byte) error {
	return func(ctx context.Context, get store.Fetch, before map[string][]byte) error {
		return verify.Refresh(ctx, root, before, verify.Get(get))
	}
}

func showPlan(w *prompt.Writer, p *store.Plan) {
	for _, it := range p.Items {
		w.Printf("%-8s %-12s %10s  %s\n", it.Change, it.Step, prompt.Size(it.Size), it.Name)
	}
	for _, it := range p.Delete {
		w.Printf("%-8s %-12s %10s  %s\n", "delete", "", prompt.Size(it.Size), it.Name)
	}
	w.Printf("%d files, %s to write; %d there already; %d to delete\n", len(p.Items), prompt.Size(p.Bytes), p.Kept, len(p.Delete))
}

func (a *app) afterPublish(p *store.Plan, r store.Result) {
	a.note("published to %s: %d files, %s written; %d there already; %d deleted", p.Store, r.Files, prompt.Size(r.Bytes), r.Kept, r.Deleted)
	if r.TimestampLeft {
		a.note(`agents see it when a timestamp over it is signed: by "fleet-hsm online", or "fleet-hsm timestamp --store"`)
	}
	if r.TimestampKept {
		a.note("the timestamp in the store is newer than the one here, over the same snapshot, and stays")
	}
}

type pullFlags struct {
	store    storeFlags
	root     string
	targets  bool
	parallel int
}

func (a *app) pullCommand() *cobra.Command {
	var o pullFlags
	cmd := &cobra.Command{
		Use:   "pull [URL]",
		Short: "Bring the published metadata here, verified, never backwards",
		Long: `pull brings what is published into repository/: metadata, and with --targets the
content. It is verified from --root, or from the oldest root here, before anything is
written, and a store that is behind this repository is refused. With --root the folder
is made if it is not there.`,
		Example: `  fleet-hsm pull
  fleet-hsm pull s3://updates/fleet --root root.json --targets`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPull(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	o.store.add(f)
	f.StringVar(&o.root, "root", "", "trusted root.json (default: the oldest one here)")
	f.BoolVar(&o.targets, "targets", false, "bring the content too")
	f.IntVar(&o.parallel, "parallel", 8, "how many files to fetch at once")
	return cmd
}

type pullResult struct {
	Schema int `json:"schema"`
	store.PullResult
}

func (a *app) runPull(ctx context.Context, args []string, o pullFlags) error {
	// What is trusted comes from elsewhere, so the folder may be one that is to be made.
	if o.root != "" {
		if err := os.Mkdir(a.path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return usage(fmt.Errorf("--path: %w", err))
		}
	}
	s, _, err := a.openStore(args, o.store)
	if err != nil {
		return err
	}
	root, err := a.rootToTrust(o.root)
	if err != nil {
		return err
	}
	lock, err := a.repo().Lock(ctx, "pull", a.lockTimeoutValue())
	if err != nil {
		return err
	}
	defer lock.Unlock()
	progress, done := a.barFor("downloading")
	defer done()
	res, err := store.Pull(ctx, s, store.PullOptions{
		Dir: a.within("repository"), Targets: o.targets, Ledger: a.ledger(), Parallel: o.parallel, Progress: progress,
		Root: root, Follows: repo.FollowsRoot, Accepts: repo.Accepts,
		Verify: func(ctx context.Context, get store.Fetch) error {
			return unverifiedBy(verify.Refresh(ctx, root, nil, verify.Get(get)))
		},
	})
	if err != nil {
		return &storeTrouble{err: err}
	}
	if res.GaveWay > 0 {
		a.note("timestamp v%d was signed here and never published: the store's v%d takes its place, and the next one is signed above both", res.GaveWay, res.Versions["timestamp"])
	}
	if err := a.remember(); err != nil {
		return err
	}
	a.note("pulled %d files, %s from %s", len(res.Files), prompt.Size(res.Bytes), s)
	a.note("published: %s", workflow.VersionsText(res.Versions))
	return a.print(pullResult{1, res}, func(*prompt.Writer) {})
}

// remember notes what was pulled; the lock is held.
func (a *app) remember() error {
	p, err := a.repo().Load()
	if err != nil {
		return err
	}
	if err := a.repo().Remember(p); err != nil {
		return err
	}
	// Nothing that a store has heals this one, so it is not called done.
	var refused *repo.RefusedError
	if err := a.repo().CheckStanding(p); errors.As(err, &refused) && refused.Kind == repo.RootTwice {
		return err
	}
	return nil
}

// rejected: a client refuses what a store offers. Exit 4.
type rejected struct{ err error }

func (e *rejected) Error() string { return "a client refuses what is published: " + e.err.Error() }
func (e *rejected) Unwrap() error { return e.err }

func unverifiedBy(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &rejected{err}
}

// rootToTrust reads --root FILE, or the oldest root here.
func (a *app) rootToTrust(file string) ([]byte, error) {
	if file == "" {
		root, err := a.oldestRoot()
		if err != nil {
			return nil, usagef("name the root that you trust with --root FILE: there is none in %q", a.within("repository"))
		}
		return root, nil
	}
	return readRoot(file)
}

// readRoot reads the file of --root.
func readRoot(file string) ([]byte, error) {
	root, err := config.ReadBounded(file, config.MaxSize)
	if err != nil {
		return nil, usage(fmt.Errorf("--root %q: %w", file, err))
	}
	return root, nil
}
