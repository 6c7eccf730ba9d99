package repo

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Roots gives the versions of root that are kept, the oldest first; the last is the one in
// force. They are what the folder says: whether each follows from the one before is for
// [Repo.Load] and for package verify.
func (r *Repo) Roots(p *Published) ([]*meta.Root, error) {
	chain, err := r.RootChain(p)
	if err != nil {
		return nil, err
	}
	var all []*meta.Root
	for _, data := range chain {
		root, err := meta.ReadRoot("N.root.json", data)
		if err != nil {
			return nil, err
		}
		all = append(all, root)
	}
	return all, nil
}

// MaxRoots is how many roots clients follow in one update, and a chain has.
const MaxRoots = 1000

// RootChain gives the published roots, the oldest first, as far back as N.root.json files
// stand here without a gap.
func (r *Repo) RootChain(p *Published) ([]json.RawMessage, error) {
	chain := []json.RawMessage{p.rootData}
	for v := p.Root.Version() - 1; v >= 1 && len(chain) < MaxRoots; v-- {
		data, err := r.ReadRole(meta.RoleRoot, v)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		chain = append(chain, data)
	}
	slices.Reverse(chain)
	return chain, nil
}
