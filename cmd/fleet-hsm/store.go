package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// storeFlags say how to reach the place where the repository is published.
type storeFlags struct {
	url    string
	caFile string
}

func (o *storeFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.caFile, "ca-file", "", "PEM certificates to check the store's server against")
}

// openStore opens the store that an argument names, or the configuration's.
func (a *app) openStore(args []string, o storeFlags) (store.Store, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	url := o.url
	if len(args) == 1 {
		url = args[0]
	}
	if url == "" {
		url = cfg.Store
	}
	if url == "" {
		return nil, usagef(`name the store: file:///FOLDER or s3://BUCKET/PREFIX, here or as "store:" in the configuration`)
	}
	loc, err := store.Parse(url)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(loc, store.OpenOptions{CAFile: o.caFile})
	if err != nil && !errors.Is(err, store.ErrNoCredentials) {
		return nil, usage(err) // nothing was asked of the store yet
	}
	return s, err
}

// storeTrouble marks what a store answered, or failed to answer.
type storeTrouble struct {
	err error
	// begun: something may have been written.
	begun bool
}

func (e *storeTrouble) Error() string { return e.err.Error() }
func (e *storeTrouble) Unwrap() error { return e.err }

// oldestRoot is the root that read-back begins with: the oldest here, as an agent
// that was packaged long ago.
func (a *app) oldestRoot() ([]byte, error) {
	_, root, err := verify.OldestRoot(a.within("repository"))
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", repo.ErrNoRepository, a.within("repository"), err)
	}
	return root, nil
}

// verifyLocal refuses to publish what a client would refuse.
func (a *app) verifyLocal(ctx context.Context, root []byte) error {
	report, err := verify.Run(ctx, verify.Options{Source: a.within("repository"), Root: root, MetadataOnly: true})
	if err != nil {
		return err
	}
	if report.OK() {
		return nil
	}
	for _, f := range report.Findings {
		if f.Severity == verify.Error {
			a.say("%s", f)
		}
	}
	return &unverified{source: report.Source, errors: report.Count(verify.Error)}
}

// ledger remembers what was published from here.
func (a *app) ledger() string { return a.within("pending", "published.json") }

// plainEvery is the pause between two lines of progress where there is no terminal.
const plainEvery = 10 * time.Second

// barFor shows an upload or download: a bar on a terminal, else a line now and then.
func (a *app) barFor(what string) (func(store.Progress), func()) {
	b := a.progress(what)
	if b.w != nil {
		return func(p store.Progress) { b.at(p.Bytes, p.BytesTotal) }, b.end
	}
	said := time.Now()
	return func(p store.Progress) {
		if now := time.Now(); now.Sub(said) >= plainEvery {
			said = now
			a.note("%s: %d of %d files, %s of %s", what, p.Files, p.FilesTotal, size(p.Bytes), size(p.BytesTotal))
		}
	}, func() {}
}

// judgeStore judges what stores say.
func judgeStore(err error) (verdict, bool) {
	refused := func(kind, hint string) (verdict, bool) { return verdict{exitRefused, kind, hint}, true }
	switch {
	case errors.Is(err, store.ErrBadURL):
		return verdict{exitUsage, "store-url", `for example file:///srv/updates or s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-1`}, true
	case errors.Is(err, store.ErrAhead):
		return refused("store-ahead", `somebody published from elsewhere; "fleet-hsm pull" brings it here first`)
	case errors.Is(err, store.ErrDiverged):
		return refused("store-diverged", "two histories: compare both before anything is overwritten; nothing was written")
	case errors.Is(err, store.ErrStaleTimestamp):
		return refused("stale-timestamp", `"fleet-hsm pull", then sign again; or "fleet-hsm timestamp" until its version is higher`)
	case errors.Is(err, store.ErrUncovered):
		return refused("uncovered", `"fleet-hsm timestamp" signs one here; "fleet-hsm publish --without-timestamp" leaves it to the online signer`)
	case errors.Is(err, store.ErrRollback):
		return refused("rollback", "the store is older than what is here; pull never goes back")
	case errors.Is(err, store.ErrNoStore):
		return refused("no-store", "make the bucket or folder first, and check its name")
	case errors.Is(err, store.ErrNoCredentials):
		return verdict{exitSecret, "no-credentials", "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the AWS credentials file, or by the instance's role"}, true
	case errors.Is(err, store.ErrInconsistent), errors.Is(err, store.ErrReadBack):
		return verdict{exitUnverified, "store-inconsistent", "run publish again; it goes on where it stopped"}, true
	case errors.Is(err, store.ErrContentMissing):
		return refused("content-missing", `"fleet-hsm pull --targets" brings what the store has`)
	case errors.Is(err, store.ErrLayout):
		return refused("flat-layout", "only with consistent snapshots")
	case errors.Is(err, store.ErrPrecondition):
		return refused("other-writer", "another machine published at the same time; run it again")
	case errors.Is(err, store.ErrUnsupported):
		return refused("store-unsupported", `"fleet-hsm doctor --store URL" says what it lacks`)
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrBadName):
		return refused("store-file", "what is there is no repository of ours; check the bucket and prefix of the URL")
	}
	var trouble *storeTrouble
	var network net.Error
	switch errors.As(err, &trouble); {
	case trouble == nil:
		return verdict{}, false
	case errors.As(err, &network):
		return refused("store-unreachable", "check the endpoint in the URL, the network and --ca-file; then run it again")
	case trouble.begun:
		return refused("store", "run publish again; it goes on where it stopped")
	}
	return verdict{}, false
}
