package main

import (
	"context"
	"crypto"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type rotateOptions struct {
	set, add, remove []string
	threshold        int
	generate         bool
	imported         bool
	algorithm        string
	card             cardFlags
	allowShorter     bool
	stageOnly        bool
	reviewed         []string
	plan             bool
	request          string
	renew            bool
	keys             roleKeyFlags
}

func (a *app) rotateCommand() *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate ROLE...",
		Short: "Change the keys or the threshold of a role",
		Long: `rotate changes who may sign for root, targets, snapshot or timestamp. Without
--key, --add, --remove, --threshold or --renew, and only if all keys of the role are in
keys/ROLE.json, they are all replaced by new ones, as fleetctl does. The old keys go
to keys/retired/. Adding a key needs root alone; other changes also need the keys of
the roles whose metadata the new root no longer accepts.`,
		Example: `  fleet-hsm rotate targets
  fleet-hsm rotate root --add "piv:serial=333;slot=9c" --remove 5d0f12ab34cd56ef --threshold 2`,
		Args:      cobra.MatchAll(cobra.MinimumNArgs(1), roleArgs),
		ValidArgs: repo.Roles(),
		RunE:      func(cmd *cobra.Command, args []string) error { return a.runRotate(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.set, "key", nil, "a key of the complete new set (URI; may be given more than once)")
	f.StringArrayVar(&o.add, "add", nil, "a key to add (URI)")
	f.StringArrayVar(&o.remove, "remove", nil, "a key to remove (key ID or its beginning, or its name in the configuration)")
	f.IntVar(&o.threshold, "threshold", 0, "how many keys must sign from now on")
	f.BoolVar(&o.generate, "generate", false, "make the named token keys if they are absent")
	f.BoolVar(&o.imported, "allow-imported", false, "accept a root key that was imported into its token or can be taken out of it")
	f.StringVar(&o.algorithm, "algorithm", "", "kind of new keys (default: as the old ones in files, p256 on tokens)")
	o.card.add(f)
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	f.BoolVar(&o.renew, "renew", false, "keep keys and content, and sign root or targets again with a new expiry")
	f.StringVar(&o.request, "request", "", "write the change into this file if signatures are missing, to be signed elsewhere")
	f.BoolVar(&o.plan, "plan", false, "show who would sign what with which key, and write nothing")
	f.BoolVar(&o.stageOnly, "stage-only", false, "stage the change and sign nothing")
	addReviewed(f, &o.reviewed)
	o.keys = addRoleKeyFlags(f, repo.Roles()...)
	return cmd
}

// making reads how new keys are to be made.
func (o rotateOptions) making(a *app) (keyring.MakeOptions, error) {
	alg, err := parseAlgorithm(o.algorithm)
	if err != nil {
		return keyring.MakeOptions{}, err
	}
	card, err := o.card.read(a)
	return keyring.MakeOptions{Generate: o.generate, Algorithm: alg, AllowImported: o.imported, Policies: card}, err
}

func roleArgs(_ *cobra.Command, args []string) error {
	for i, role := range args {
		if !repo.IsRole(role) {
			return usagef("%q is no role; roles are %s", role, strings.Join(repo.Roles(), ", "))
		}
		if slices.Contains(args[:i], role) {
			return usagef("role %s is named twice", role)
		}
	}
	return nil
}

func (a *app) runRotate(ctx context.Context, roles []string, o rotateOptions) error {
	if (o.renew || o.plan) && len(roles) > 1 {
		return usagef("--renew and --plan look at one role at a time")
	}
	if o.renew && o.request != "" {
		return usagef(`--request does not go with --renew; "fleet-hsm request" writes what is staged`)
	}
	if o.renew {
		return a.runRenew(ctx, roles[0], o)
	}
	if len(o.set) > 0 && (len(o.add) > 0 || len(o.remove) > 0) {
		return usagef("--key names the complete new set; --add and --remove do not go with it")
	}
	if o.plan {
		return a.runPlan(ctx, roles[0], o)
	}
	if err := freeForRequest(o.request); err != nil {
		return err
	}
	mo, err := o.making(a)
	if err != nil {
		return err
	}
	w, err := a.open(ctx, "rotate")
	if err != nil {
		return err
	}
	defer w.End()
	if err := w.NeedPublished(); err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	w.UnlockWhileAsking()
	if err := w.Join(o.reviewed, o.stageOnly); err != nil {
		return err
	}
	c, made := w.Staged, map[string][]crypto.PublicKey{}
	undo := func(cause error) error {
		w.Maker.TellOnDevices()
		for role, keys := range made {
			cause = w.dropMade(role, keys, cause)
		}
		return cause
	}
	for _, role := range roles {
		if c, err = w.rotateRole(ctx, c, role, o, mo, made); err != nil {
			return undo(err)
		}
	}
	a.warnShared(c.Root())
	w.SayShared(c)
	if o.stageOnly {
		if err := w.StageOnly(c); err != nil {
			return err
		}
		if err := w.requestFor(c, o.request); err != nil {
			return err
		}
		return a.report("rotate", nil)
	}
	versions, err := w.Publish(ctx, c, workflow.PublishOptions{AllowShorter: o.allowShorter})
	if err != nil && c.Fresh {
		return undo(err)
	}
	if as[*keyring.ShortError](err) {
		return errors.Join(err, w.requestFor(c, o.request))
	}
	if err != nil {
		return err
	}
	for _, role := range roles {
		w.retire(role)
	}
	return a.report("rotate", versions)
}

// rotateRole adds the new keys of one role to a change; made takes those that were
// made in keys/ROLE.json.
func (w *work) rotateRole(ctx context.Context, c *repo.Change, role string, o rotateOptions, mo keyring.MakeOptions, made map[string][]crypto.PublicKey) (*repo.Change, error) {
	rot := repo.Rotation{Role: role, Remove: w.Config.KeyIDs(o.remove), Threshold: o.threshold}
	if err := w.checkNewSources(ctx, role, slices.Concat(o.set, o.add), o.generate); err != nil {
		return nil, err
	}
	keys, err := w.newKeys(ctx, &rot, o, mo)
	if err != nil {
		return nil, err
	}
	made[role] = keys
	if w.Lost != nil {
		return nil, w.Lost
	}
	return w.Repo.Rotate(w.Published, c, rot, w.StageOptions(o.allowShorter))
}

// warnShared names keys that sign for two roles: who has one has both.
func (a *app) warnShared(root *repo.Root) {
	holders := map[tuf.KeyID][]string{}
	for _, role := range repo.Roles() {
		for _, k := range root.Keys(role) {
			holders[k.ID] = append(holders[k.ID], role)
		}
	}
	for _, role := range repo.Roles() {
		for _, k := range root.Keys(role) {
			if of := holders[k.ID]; len(of) > 1 && of[0] == role {
				a.warn("one key (%s) signs for %s: whoever has it has all of them", k.ShortID(), strings.Join(of, " and "))
			}
		}
	}
}

// checkNewSources refuses a source of PINs that could mean the token of a new key as
// well as one that signs root, before a key is made.
func (w *work) checkNewSources(ctx context.Context, role string, list []string, generate bool) error {
	if !generate {
		return nil // no PIN but those of keys that sign is asked for
	}
	before := w.Keys.URIs
	defer func() { w.Keys.URIs = before }()
	w.Keys.URIs = maps.Clone(before)
	for _, s := range list {
		u, err := w.a.kinds.Parse(s)
		if err != nil {
			return err
		}
		w.Keys.URIs[role] = append(slices.Clone(w.Keys.URIs[role]), u)
	}
	return w.Keys.CheckPINSources(ctx, map[string][]repo.Key{repo.RoleRoot: w.Published.Root.Keys(repo.RoleRoot)})
}

// newKeys fills in the keys of the rotation and gives those that were made in
// keys/ROLE.json.
func (w *work) newKeys(ctx context.Context, rot *repo.Rotation, o rotateOptions, mo keyring.MakeOptions) ([]crypto.PublicKey, error) {
	if len(o.set)+len(o.add)+len(o.remove) == 0 && o.threshold == 0 {
		return w.replaceFileKeys(ctx, rot, mo.Algorithm)
	}
	var err error
	if rot.Add, err = w.resolveAll(ctx, rot.Role, o.add, mo); err != nil {
		return nil, err
	}
	if len(o.set) > 0 {
		rot.Set, err = w.resolveAll(ctx, rot.Role, o.set, mo)
	}
	return nil, err
}

func (w *work) resolveAll(ctx context.Context, role string, list []string, mo keyring.MakeOptions) ([]repo.Key, error) {
	if len(list) == 0 {
		return nil, nil
	}
	plan := map[string][]signer.URI{}
	for _, s := range list {
		u, err := w.a.kinds.Parse(s)
		if err != nil {
			return nil, err
		}
		plan[role] = append(plan[role], u)
	}
	keys, err := w.Maker.Keys(ctx, w.UI, plan, mo)
	return keys[role], err
}

// replaceFileKeys is fleetctl's rotate: as many new keys as the threshold asks for,
// of the kind of the old ones. They are saved before anything is staged.
func (w *work) replaceFileKeys(ctx context.Context, rot *repo.Rotation, alg signer.Algorithm) ([]crypto.PublicKey, error) {
	root := w.Published.Root
	if w.Staged != nil {
		root = w.Staged.Root()
	}
	if err := w.allInFile(ctx, root, rot.Role); err != nil {
		return nil, err
	}
	if alg == "" {
		var err error
		if alg, err = signer.AlgorithmOf(root.Keys(rot.Role)[0].Public); err != nil {
			return nil, err
		}
	}
	keys, err := w.Maker.FileKeys(ctx, w.UI, rot.Role, root.Threshold(rot.Role), alg)
	if err != nil {
		return nil, err
	}
	rot.Set = keys
	var made []crypto.PublicKey
	for _, k := range keys {
		made = append(made, k.Public)
	}
	return made, nil
}

// allInFile refuses unless every key of the role is in keys/ROLE.json.
func (w *work) allInFile(ctx context.Context, root *repo.Root, role string) error {
	elsewhere := func(k repo.Key) error {
		return usagef("key %s of role %s is not in %s; name the complete new set with --key, or use --add and --remove",
			k.ShortID(), role, w.a.within("keys", role+".json"))
	}
	for _, k := range root.Keys(role) {
		if u, ok := w.Config.Locations[k.ID]; ok && u.String() != keyring.RoleFile(role).String() || !w.Keys.Files.Exists(keyring.RoleFile(role)) {
			return elsewhere(k)
		}
	}
	infos, err := w.Keys.Files.Keys(ctx, signer.Ref{URI: keyring.RoleFile(role), Roles: []string{role}}, w.UI)
	if err != nil {
		return err
	}
	for _, k := range root.Keys(role) {
		here := false
		for _, info := range infos {
			here = here || info.Public != nil && signer.SamePublic(info.Public, k.Public)
		}
		if !here {
			return elsewhere(k)
		}
	}
	return nil
}

// dropMade takes keys out of keys/ROLE.json again that were made for a change which
// came to nothing.
func (w *work) dropMade(role string, made []crypto.PublicKey, cause error) error {
	if len(made) == 0 {
		return cause
	}
	return errors.Join(cause, w.Keys.Files.Drop(keyring.RoleFile(role), made))
}

// retire moves file keys that root no longer names to keys/retired/. It is the last
// step and nothing depends on it: a key that stays is only listed as unused.
func (w *work) retire(role string) {
	p, err := w.Repo.Load()
	if err != nil {
		w.a.warn("old keys stay in keys/%s.json: %v", role, err)
		return
	}
	var keep []crypto.PublicKey
	for _, k := range p.Root.Keys(role) {
		keep = append(keep, k.Public)
	}
	n, err := w.Keys.Files.Retire(keyring.RoleFile(role), keep)
	if err != nil {
		w.a.warn("old keys stay in keys/%s.json: %v", role, err)
	}
	if n > 0 {
		w.a.note("moved %d old %s key(s) to %s", n, role, w.a.within("keys", "retired"))
	}
}
