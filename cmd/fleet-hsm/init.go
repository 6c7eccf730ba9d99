package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type initOptions struct {
	keys       roleKeyFlags
	thresholds map[string]*int
	expires    []string
	consistent bool
	generate   bool
	imported   bool
	algorithm  string
	card       cardFlags
}

func (a *app) initCommand() *cobra.Command {
	o := initOptions{thresholds: map[string]*int{}}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create a repository and its keys",
		Long: `init creates a repository in the folder --path: root, targets, snapshot and
timestamp at version 1. A role without --<role>-key gets a new key in
keys/<role>.json, encrypted with $FLEET_<ROLE>_PASSPHRASE or a passphrase typed
twice. --generate makes the named token keys where they do not exist yet.`,
		Example: `  fleet-hsm init
  fleet-hsm init --root-key "piv:serial=111;slot=9c" --root-key "piv:serial=222;slot=9c" --root-threshold 2 \
      --timestamp-key "pkcs11:token=fleet;object=timestamp" --generate`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runInit(cmd.Context(), o) },
	}
	f := cmd.Flags()
	o.keys = addRoleKeyFlags(f, repo.Roles()...)
	for _, role := range repo.Roles() {
		o.thresholds[role] = f.Int(role+"-threshold", 1, "how many "+role+" keys must sign")
	}
	f.StringArrayVar(&o.expires, "expires", nil, "how long version 1 is good, as role=DURATION (may be given more than once)")
	f.BoolVar(&o.consistent, "consistent-snapshot", true, "publish under versioned and hash-named files, so that agents verify at every moment")
	f.BoolVar(&o.generate, "generate", false, "make the named token keys if they are absent")
	f.BoolVar(&o.imported, "allow-imported", false, "accept a root key that was imported into its token or can be taken out of it")
	f.StringVar(&o.algorithm, "algorithm", "", "kind of new keys: p256, ed25519, rsa2048, rsa3072, rsa4096 (default ed25519 in files, p256 on tokens)")
	o.card.add(f)
	return cmd
}

func (a *app) runInit(ctx context.Context, o initOptions) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if err := cfg.Override(o.expires); err != nil {
		return err
	}
	alg, err := parseAlgorithm(o.algorithm)
	if err != nil {
		return err
	}
	card, err := o.card.read(a)
	if err != nil {
		return err
	}
	if err := a.checkKeyPlaces(o.keys); err != nil {
		return err
	}
	w, err := a.begin(ctx, "init")
	if err != nil {
		return err
	}
	defer w.End()
	if err := w.Repo.CheckInit(); err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	plan, err := w.planInit(o)
	if err != nil {
		return err
	}
	if err := w.Keys.CheckPINSources(ctx, nil); err != nil {
		return err
	}
	keys, err := w.Maker.Keys(ctx, w.UI, plan, keyring.MakeOptions{Generate: o.generate, Algorithm: alg, AllowImported: o.imported, Policies: card})
	if err != nil {
		return w.undoKeys(err)
	}
	thresholds := map[string]int{}
	for role, n := range o.thresholds {
		thresholds[role] = *n
	}
	c, err := w.Repo.Init(repo.InitOptions{Keys: keys, Thresholds: thresholds, Consistent: o.consistent, Expiries: cfg.Expiries})
	if err != nil {
		return w.undoKeys(err)
	}
	a.warnShared(c.Root())
	w.SayShared(c)
	versions, err := w.Publish(ctx, c, workflow.PublishOptions{})
	if err != nil && c.Fresh {
		return w.undoKeys(err)
	}
	if err != nil {
		return err
	}
	w.afterInit(plan)
	if len(o.expires) > 0 {
		a.note(`--expires is for version 1; "expires:" in %s says how long later ones are good.`, cfg.File)
	}
	return a.report("init", versions)
}

// checkKeyPlaces refuses to begin where new key files could not be kept from others.
func (a *app) checkKeyPlaces(given roleKeyFlags) error {
	if err := a.checkPath(); err != nil {
		return err
	}
	keys, err := a.keychain()
	if err != nil {
		return err
	}
	files := keys.Files
	for _, role := range repo.Roles() {
		if len(*given[role]) > 0 || files.Exists(keyring.RoleFile(role)) {
			continue
		}
		if err := files.KeepsPrivate(keyring.RoleFile(role)); err != nil {
			return err
		}
	}
	return nil
}

// planInit says where each role's keys are and refuses before any key is made.
func (w *work) planInit(o initOptions) (map[string][]signer.URI, error) {
	plan := map[string][]signer.URI{}
	for _, role := range repo.Roles() {
		plan[role] = w.Keys.URIs[role]
		if n := *o.thresholds[role]; n < 1 || n > max(1, len(plan[role])) {
			return nil, usagef("--%s-threshold %d with %d key(s); name more with --%s-key", role, n, max(1, len(plan[role])), role)
		}
		if len(plan[role]) > 0 {
			continue
		}
		if w.Keys.Files.Exists(keyring.RoleFile(role)) {
			return nil, fmt.Errorf("%w: %q; use it with --%s-key %s, or move it away", repo.ErrExists, w.a.within("keys", role+".json"), role, keyring.RoleFile(role))
		}
		plan[role] = nil
	}
	return plan, nil
}

// undoKeys takes the key files away again that a failed init made, so that the same
// command can be given once more.
func (w *work) undoKeys(cause error) error {
	w.Maker.TellOnDevices()
	for role, made := range w.Maker.Made {
		cause = w.dropMade(role, made, cause)
	}
	// The folder only goes if nothing else is in it.
	_ = os.Remove(w.a.within("keys"))
	return cause
}

// afterInit tells what to copy where, and which key to take offline.
func (w *work) afterInit(plan map[string][]signer.URI) {
	w.a.note("")
	w.a.note("Serve the folder %s; agents are packaged with its root.json (fleet-hsm roots).", w.a.within("repository"))
	if len(plan[repo.RoleRoot]) == 0 {
		w.a.note("Take the root key offline: copy %s to two places that are not this machine, then remove it here.", w.a.within("keys", "root.json"))
		w.a.note(`It is needed again to change keys ("fleet-hsm rotate") and before root expires; add, timestamp and commit do not use it.`)
	}
	w.a.note("Keep a copy of the whole folder but pending/; without keys/ or the tokens nothing can be signed.")
}
