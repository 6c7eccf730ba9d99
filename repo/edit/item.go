package edit

import (
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// StagedItem is an item with its bytes.
type StagedItem struct {
	Item    meta.Item
	Content repo.Content
}

// CheckNames refuses items whose paths are new and that not every web root can hold.
// staged may be nil. Errors: *NameError.
func CheckNames(r *repo.Repo, p *repo.Published, staged *repo.Change, items []meta.Item) error {
	c := r.Start(p, staged)
	spelled := meta.Spellings(c.CurrentTargets(p))
	for _, it := range items {
		paths, err := it.Paths()
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := spelled.Take(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Holds reports whether adding the items would change nothing but numbers and dates: what
// they say is published with these very bytes, and what is published needs no new
// signature. Whatever is in doubt is not held, so that add goes on and says it.
func Holds(r *repo.Repo, p *repo.Published, items []StagedItem) bool {
	var wanted []meta.Target
	for _, it := range items {
		paths, err := it.Item.Paths()
		if err != nil {
			return false
		}
		for _, path := range paths {
			wanted = append(wanted, meta.Target{Path: path, Length: it.Content.Length, SHA512: it.Content.SHA512, Version: it.Item.Version})
		}
	}
	return r.Holds(p, wanted)
}
