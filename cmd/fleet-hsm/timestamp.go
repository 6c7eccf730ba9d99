package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type timestampOptions struct {
	within       optionalDuration
	allowShorter bool
	expires      []string
	keys         roleKeyFlags
	store        storeFlags
	root         string
	memory       memoryFlags
}

func (a *app) timestampCommand() *cobra.Command {
	var o timestampOptions
	cmd := &cobra.Command{
		Use:   "timestamp",
		Short: "Sign a new timestamp over what is published",
		Long: `timestamp needs the timestamp key and the published metadata files, nothing else:
no other key, no target file. A staged change goes on waiting. With --store it works
straight on the published repository, with the trusted root alone.`,
		Example: `  fleet-hsm timestamp
  fleet-hsm timestamp --within 7d   # only if it expires within 7 days`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runTimestamp(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.Var(&o.within, "within", "do nothing unless the timestamp expires within this time")
	takesNothing(f, "within", "only if it has expired")
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	f.Var((*many)(&o.expires), "expires", "validity, as timestamp=DURATION")
	f.StringVar(&o.store.url, "store", "", "sign straight on a published repository: file:///FOLDER or s3://BUCKET/PREFIX")
	f.StringVar(&o.root, "root", "", "with --store: trusted root.json (default: the oldest one in repository/)")
	o.store.add(f)
	o.keys = addRoleKeyFlags(f, meta.RoleTimestamp)
	o.memory.add(f)
	f.BoolVar(&o.memory.acceptOlder, "accept-older", false, "with --store: what is there is older than what is remembered, and is meant")
	return cmd
}

func (a *app) runTimestamp(ctx context.Context, o timestampOptions) error {
	if o.store.url != "" {
		return a.timestampOnStore(ctx, onStore{store: o.store, root: o.root, allowShorter: o.allowShorter, expires: o.expires, keys: o.keys, memory: o.memory}, o.within)
	}
	if o.root != "" || o.store.caFile != "" || o.memory != (memoryFlags{}) {
		return usagef("--root, --ca-file, --state, --accept-expired and --accept-older go with --store")
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if err := cfg.Override(o.expires); err != nil {
		return err
	}
	w, err := a.begin(ctx, "timestamp")
	if err != nil {
		return err
	}
	defer w.End()
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	rel, err := w.Repo.Timestamp(repo.ReleaseOptions{Expiries: cfg.Expiries, AllowShorter: o.allowShorter})
	if err != nil {
		return err
	}
	w.Published = rel.Published()
	if left := w.Published.Timestamp.Expires().Sub(w.Repo.Now()); o.within.given && left > o.within.value() && !w.Published.AwaitsTimestamp() {
		a.note("timestamp v%d is good for %s; nothing to do", w.Published.Timestamp.Version(), config.DaysUntil(w.Published.Timestamp.Expires()))
		return a.print(timestampResult{Schema: 1, Command: "timestamp"}, func(*prompt.Writer) {})
	}
	if err := w.Keys.CheckPINSources(ctx, map[string][]meta.Key{meta.RoleTimestamp: w.Published.Root.Keys(meta.RoleTimestamp)}); err != nil {
		return err
	}
	if err := w.SignRelease(ctx, rel); err != nil {
		return deviceFirst(err)
	}
	if err := w.Repo.Commit(rel); err != nil {
		return err
	}
	a.log.Commit(rel)
	a.note("published: timestamp v%d", rel.Versions()[meta.RoleTimestamp])
	return a.report("timestamp", rel.Versions())
}

// timestampResult is what timestamp says with --json when it had nothing to do.
type timestampResult struct {
	Schema  int    `json:"schema"`
	Command string `json:"command"`
}

// deviceFirst makes an absent token the trouble itself: nothing waits staged here
// that another machine could sign.
func deviceFirst(err error) error {
	var absent *keyring.AbsentError
	if errors.As(err, &absent) {
		return absent.Device
	}
	var short *keyring.ShortError
	if errors.As(err, &short) {
		return &noKeyError{short}
	}
	return err
}

// noKeyError: the one key that a command needs is not on this machine.
type noKeyError struct{ short *keyring.ShortError }

func (e *noKeyError) Error() string { return e.short.Error() }

// Is makes it a missing token: exit 5.
func (e *noKeyError) Is(target error) bool { return target == signer.ErrNoToken }
