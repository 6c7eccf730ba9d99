package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type initOptions struct {
	keys       roleKeyFlags
	thresholds map[string]*int
	expires    []string
	consistent bool
	make       makeFlags
}

func (a *app) initCommand() *cobra.Command {
	o := initOptions{thresholds: map[string]*int{}}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create a repository and its keys",
		Long: `init creates a repository in the folder --path, which it makes if it is not there:
root, targets, snapshot and timestamp at version 1. A role without --<role>-key gets a new key in
keys/<role>.json, encrypted with $FLEET_<ROLE>_PASSPHRASE or a passphrase typed
twice. --generate makes the named token keys where they do not exist yet.`,
		Example: `  fleet-hsm init
  fleet-hsm init --root-key "piv:serial=111;slot=9c" --root-key "piv:serial=222;slot=9c" --root-threshold 2 \
      --timestamp-key "pkcs11:token=fleet;object=timestamp" --generate`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runInit(cmd.Context(), o) },
	}
	f := cmd.Flags()
	o.keys = addRoleKeyFlags(f, meta.Roles()...)
	for _, role := range meta.Roles() {
		o.thresholds[role] = f.Int(role+"-threshold", 1, "how many "+role+" keys must sign")
	}
	f.Var((*many)(&o.expires), "expires", "how long version 1 is good, as role=DURATION (may be given more than once)")
	f.BoolVar(&o.consistent, "consistent-snapshot", true, "publish under versioned and hash-named files, so that agents verify at every moment")
	o.make.add(f, "kind of new keys: p256, ed25519, rsa2048, rsa3072, rsa4096 (default ed25519 in files, p256 on tokens)")
	return cmd
}

func (a *app) runInit(ctx context.Context, o initOptions) (err error) {
	drop, err := a.makeFolder()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			drop()
		}
	}()
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if err := cfg.Override(o.expires); err != nil {
		return err
	}
	mo, err := o.make.read(a)
	if err != nil {
		return err
	}
	if err := a.checkKeyFiles(o.keys); err != nil {
		return err
	}
	w, err := a.begin(ctx, "init")
	if err != nil {
		return err
	}
	defer w.End()
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	thresholds := map[string]int{}
	for role, n := range o.thresholds {
		thresholds[role] = *n
	}
	c, inFile, err := w.Init(ctx, workflow.Init{Thresholds: thresholds, Consistent: o.consistent, Make: mo})
	if err != nil {
		return err
	}
	w.SayShared(c)
	versions, err := w.Publish(ctx, c, workflow.PublishOptions{})
	if err != nil && c.Fresh {
		return w.UndoInit(err)
	}
	if err != nil {
		return err
	}
	a.afterInit(slices.Contains(inFile, meta.RoleRoot))
	if len(o.expires) > 0 {
		a.note(`--expires is for version 1; "expires:" in %s says how long later ones are good.`, cfg.File)
	}
	return a.report("init", versions)
}

// makeFolder makes the folder of a new repository if it is not there. drop takes away
// again what it made, as far as nothing is in it. A dry run uses another one.
func (a *app) makeFolder() (drop func(), err error) {
	if _, err := os.Stat(a.path); a.dryRun && errors.Is(err, fs.ErrNotExist) {
		a.path, err = os.MkdirTemp("", "fleet-hsm-dry-run-")
		return func() { _ = os.RemoveAll(a.path) }, err
	}
	return workflow.MakeFolder(a.path)
}

// checkKeyFiles refuses to begin where new key files could not be kept from others.
func (a *app) checkKeyFiles(given roleKeyFlags) error {
	if err := a.checkPath(); err != nil {
		return err
	}
	keys, err := a.keychain()
	if err != nil {
		return err
	}
	files := keys.Files
	for _, role := range meta.Roles() {
		if len(*given[role]) > 0 || files.Exists(keyring.RoleFile(role)) {
			continue
		}
		if a.dryRun {
			continue // looking takes writing
		}
		if err := files.KeepsPrivate(keyring.RoleFile(role)); err != nil {
			return err
		}
	}
	return nil
}

// afterInit tells what to copy where, and which key to take offline.
func (a *app) afterInit(rootInFile bool) {
	a.note("")
	a.note("Serve the folder %s; agents are packaged with its root.json (fleet-hsm roots).", a.within("repository"))
	if rootInFile {
		a.note("Take the root key offline: copy %s to two places that are not this machine, then remove it here.", a.within("keys", "root.json"))
		a.note(`It is needed again to change keys ("fleet-hsm rotate") and before root expires; add, timestamp and commit do not use it.`)
	}
	a.note("Keep a copy of the whole folder but pending/; without keys/ or the tokens nothing can be signed.")
}
