package workflow

import (
	"context"
	"crypto"
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Rotation says how the keys of roles change. With neither keys nor a threshold all keys of
// a role are replaced by new ones in its file, as fleetctl does.
type Rotation struct {
	// Set is the complete new set of keys, Add are those that are added: URIs.
	Set, Add []string
	// Remove are key IDs, their beginnings, or names of the configuration.
	Remove    []string
	Threshold int
	Make      keyring.MakeOptions
	// AllowShorter accepts an expiry before the published one.
	AllowShorter bool
}

// replaces reports whether new keys in a role's file take the place of all.
func (o Rotation) replaces() bool {
	return len(o.Set)+len(o.Add)+len(o.Remove) == 0 && o.Threshold == 0
}

// Rotate adds the new keys of each role to what is staged. Keys in files that it made go
// again if it fails.
func (w *Session) Rotate(ctx context.Context, roles []string, o Rotation) (c *repo.Change, err error) {
	if err := w.nameKeys(ctx, roles, o); err != nil {
		return nil, err
	}
	c = w.Staged
	for _, role := range roles {
		if c, err = w.rotateRole(ctx, c, role, o); err != nil {
			return nil, w.Maker.Undo(err)
		}
	}
	return c, nil
}

// nameKeys gives the names of new keys away before one is made.
func (w *Session) nameKeys(ctx context.Context, roles []string, o Rotation) error {
	uris, err := w.parseAll(slices.Concat(o.Add, o.Set))
	if err != nil {
		return err
	}
	named := make([]signer.Ref, len(uris))
	for i, u := range uris {
		named[i] = signer.Ref{URI: u, Roles: roles}
	}
	return w.Maker.NameKeys(ctx, w.UI, named, o.Make)
}

func (w *Session) parseAll(list []string) (uris []signer.URI, err error) {
	uris = make([]signer.URI, len(list))
	for i, s := range list {
		if uris[i], err = w.Keys.Parse(s); err != nil {
			return nil, err
		}
	}
	return uris, nil
}

// rotateRole adds the new keys of one role to a change.
func (w *Session) rotateRole(ctx context.Context, c *repo.Change, role string, o Rotation) (*repo.Change, error) {
	remove, err := w.Keys.IDs(role, w.keysBefore(c, role), o.Remove)
	if err != nil {
		return nil, err
	}
	rot := edit.Rotation{Role: role, Remove: remove, Threshold: o.Threshold}
	if err := w.checkNewSources(ctx, role, slices.Concat(o.Set, o.Add), o.Make.Generate); err != nil {
		return nil, err
	}
	if err := w.newKeys(ctx, &rot, o); err != nil {
		return nil, err
	}
	if w.LockLost != nil {
		return nil, w.LockLost
	}
	return edit.Rotate(w.Repo, w.Published, c, rot, w.StageOptions(o.AllowShorter))
}

// keysBefore are the keys of a role as far as it is changed already.
func (w *Session) keysBefore(c *repo.Change, role string) []meta.Key {
	if c != nil && c.Root() != nil {
		return c.Root().Keys(role)
	}
	return w.Published.Root.Keys(role)
}

// checkNewSources refuses a source of PINs that could mean the token of a new key as
// well as one that signs root, before a key is made.
func (w *Session) checkNewSources(ctx context.Context, role string, list []string, generate bool) error {
	if !generate {
		return nil // no PIN but those of keys that sign is asked for
	}
	before := w.Keys.URIs
	defer func() { w.Keys.URIs = before }()
	w.Keys.URIs = maps.Clone(before)
	for _, s := range list {
		u, err := w.Keys.Parse(s)
		if err != nil {
			return err
		}
		w.Keys.URIs[role] = append(slices.Clone(w.Keys.URIs[role]), u)
	}
	return w.Keys.CheckPINSources(ctx, map[string][]meta.Key{meta.RoleRoot: w.Published.Root.Keys(meta.RoleRoot)})
}

// newKeys fills in the keys of the rotation.
func (w *Session) newKeys(ctx context.Context, rot *edit.Rotation, o Rotation) (err error) {
	if o.replaces() {
		rot.Set, err = w.replaceFileKeys(ctx, rot.Role, o.Make.Algorithm)
		return err
	}
	if rot.Add, err = w.resolveAll(ctx, rot.Role, o.Add, o.Make); err != nil {
		return err
	}
	rot.Set, err = w.resolveAll(ctx, rot.Role, o.Set, o.Make)
	return err
}

func (w *Session) resolveAll(ctx context.Context, role string, list []string, mo keyring.MakeOptions) ([]meta.Key, error) {
	if len(list) == 0 {
		return nil, nil
	}
	uris, err := w.parseAll(list)
	if err != nil {
		return nil, err
	}
	keys, err := w.Maker.Keys(ctx, w.UI, map[string][]signer.URI{role: uris}, mo)
	return keys[role], err
}

// replaceFileKeys is fleetctl's rotate: as many new keys as the threshold asks for,
// of the kind of the old ones. They are saved before anything is staged.
func (w *Session) replaceFileKeys(ctx context.Context, role string, alg signer.Algorithm) ([]meta.Key, error) {
	root := w.newestRoot()
	if w.opts.DryRun {
		return w.Maker.StandIns(role, root.Threshold(role))
	}
	if err := w.allInFile(ctx, root, role); err != nil {
		return nil, err
	}
	if alg == "" {
		var err error
		if alg, err = signer.AlgorithmOf(root.Keys(role)[0].Public); err != nil {
			return nil, err
		}
	}
	return w.Maker.FileKeys(ctx, w.UI, role, root.Threshold(role), alg)
}

// newestRoot is the staged root, or the published one.
func (w *Session) newestRoot() *meta.Root {
	if w.Staged != nil {
		return w.Staged.Root()
	}
	return w.Published.Root
}

// allInFile refuses unless every key of the role is in keys/ROLE.json, or in the file that
// --ROLE-key names.
func (w *Session) allInFile(ctx context.Context, root *meta.Root, role string) error {
	at := w.Keys.FileOf(role)
	elsewhere := func(k meta.Key) error {
		place := w.within("keys", role+".json")
		if at.String() != keyring.RoleFile(role).String() {
			place = at.Opaque
		}
		return misuse.Errorf("key %s of role %s is not in %s; name the complete new set with --key, or use --add and --remove; a file elsewhere is named with --%s-key file:PATH",
			k.ShortID(), role, place, role)
	}
	for _, k := range root.Keys(role) {
		if u, ok := w.Config.Locations[k.ID]; ok && u.String() != at.String() || !w.Keys.Files.Exists(at) {
			return elsewhere(k)
		}
	}
	infos, err := w.Keys.Files.Keys(ctx, signer.Ref{URI: at, Roles: []string{role}}, w.UI)
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

// Retire moves file keys that root no longer names to keys/retired/. It is the last
// step and nothing depends on it: a key that stays is only listed as unused.
func (w *Session) Retire(role string) {
	p, err := w.Repo.Load()
	if err != nil {
		w.warn("old keys stay in %s: %v", w.Keys.FileOf(role), err)
		return
	}
	var keep []crypto.PublicKey
	for _, k := range p.Root.Keys(role) {
		keep = append(keep, k.Public)
	}
	at := w.Keys.FileOf(role)
	n, err := w.Keys.Files.Retire(at, keep)
	if err != nil {
		w.warn("old keys stay in %s: %v", at, err)
	}
	switch {
	case n > 0 && at.String() != keyring.RoleFile(role).String():
		w.note("moved %d old %s key(s) to retired/ beside %s", n, role, at)
	case n > 0:
		w.note("moved %d old %s key(s) to %s", n, role, w.within("keys", "retired"))
	}
}

// rotatedRoles lists the roles that lose a key with the staged root.
func (w *Session) rotatedRoles() []string {
	if w.Published == nil {
		return nil
	}
	var roles []string
	for _, role := range meta.Roles() {
		for _, k := range w.Published.Root.Keys(role) {
			if !hasKeyID(w.Staged.Root().Keys(role), k.ID) {
				roles = append(roles, role)
				break
			}
		}
	}
	return roles
}

// hasKeyID reports whether a key with this ID is in a list.
func hasKeyID(keys []meta.Key, id tuf.KeyID) bool {
	return slices.ContainsFunc(keys, func(k meta.Key) bool { return k.ID == id })
}
