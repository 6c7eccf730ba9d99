package workflow

import (
	"context"
	"fmt"
	"os"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Init is what a new repository is made of, besides the keys that flags name (Ring.URIs).
type Init struct {
	Thresholds map[string]int
	Consistent bool
	Make       keyring.MakeOptions
}

// Init makes the keys and the first change of a repository. Keys in files that it made go
// again if it fails. inFile are the roles that got a new one.
func (w *Session) Init(ctx context.Context, o Init) (c *repo.Change, inFile []string, err error) {
	if err := w.Repo.CheckInit(); err != nil {
		return nil, nil, err
	}
	uris, err := w.keysOfInit(o)
	if err != nil {
		return nil, nil, err
	}
	if err := w.Keys.CheckPINSources(ctx, nil); err != nil {
		return nil, nil, err
	}
	var named []signer.Ref
	for _, role := range meta.Roles() {
		for _, u := range uris[role] {
			named = append(named, signer.Ref{URI: u, Roles: []string{role}})
		}
	}
	if err := w.Maker.NameKeys(ctx, w.UI, named, o.Make); err != nil {
		return nil, nil, err
	}
	keys, err := w.Maker.Keys(ctx, w.UI, uris, o.Make)
	if err != nil {
		return nil, nil, w.UndoInit(err)
	}
	c, err = w.Repo.Init(repo.InitOptions{Keys: keys, Thresholds: o.Thresholds, Consistent: o.Consistent, Expiries: w.Config.Expiries})
	if err != nil {
		return nil, nil, w.UndoInit(err)
	}
	for role, list := range uris {
		if len(list) == 0 {
			inFile = append(inFile, role)
		}
	}
	return c, inFile, nil
}

// keysOfInit says where each role's keys are and refuses before any key is made.
func (w *Session) keysOfInit(o Init) (map[string][]signer.URI, error) {
	uris := map[string][]signer.URI{}
	for _, role := range meta.Roles() {
		uris[role] = w.Keys.URIs[role]
		if n := o.Thresholds[role]; n < 1 || n > max(1, len(uris[role])) {
			return nil, misuse.Errorf("--%s-threshold %d with %d key(s); name more with --%s-key", role, n, max(1, len(uris[role])), role)
		}
		if len(uris[role]) > 0 {
			continue
		}
		if w.Keys.Files.Exists(keyring.RoleFile(role)) {
			return nil, fmt.Errorf("%w: %q; use it with --%s-key %s, or move it away", repo.ErrExists, w.within("keys", role+".json"), role, keyring.RoleFile(role))
		}
		uris[role] = nil
	}
	return uris, nil
}

// UndoInit takes the key files away again that a failed init made, so that the same command
// can be given once more.
func (w *Session) UndoInit(cause error) error {
	cause = w.Maker.Undo(cause)
	if w.opts.DryRun {
		return cause
	}
	// The folder only goes if nothing else is in it.
	_ = os.Remove(w.within("keys"))
	return cause
}
