package repo

import "github.com/fleet-hsm/fleet-hsm/repo/meta"

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
