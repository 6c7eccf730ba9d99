package edit

import (
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Add stages targets, on top of what is published or of the staged change. The
// contents must be staged or published (see [Repo.Stage], [Repo.PublishedContent]).
// Errors: *NameError, *RefusedError.
func Add(r *repo.Repo, p *repo.Published, staged *repo.Change, items []StagedItem, opts repo.StageOptions) (*repo.Change, error) {
	c := r.Start(p, staged)
	t := c.CurrentTargets(p).Clone()
	spelled := meta.Spellings(t)
	for _, it := range items {
		paths, err := it.Item.Paths()
		if err != nil {
			return nil, err
		}
		if err := versionFree(p.Targets, paths[0], it, opts.Replace); err != nil {
			return nil, err
		}
		if paths, err = hotPaths(c, p, paths, it); err != nil {
			return nil, err
		}
		for _, path := range paths {
			if err := spelled.Take(path); err != nil {
				return nil, err
			}
			err := t.Set(meta.Target{Path: path, Length: it.Content.Length, SHA512: it.Content.SHA512, Version: it.Item.Version})
			if err != nil {
				return nil, err
			}
		}
		c.Intend("add %s %s for %s to %s", it.Item.Name, it.Item.Version, it.Item.Platform, strings.Join(channelsOf(it.Item), ", "))
	}
	return c, r.Restage(p, c, t, opts)
}

func channelsOf(it meta.Item) []string {
	out := []string{it.Version}
	for _, ch := range it.Channels {
		if !slices.Contains(out, ch) {
			out = append(out, ch)
		}
	}
	return out
}

func versionFree(published *meta.Targets, path string, it StagedItem, replace bool) error {
	old, there, err := published.Get(path)
	if err != nil {
		return err
	}
	if !there || replace || old.SHA512 == it.Content.SHA512 && old.Length == it.Content.Length {
		return nil
	}
	return meta.Refuse(meta.VersionTaken, "%s %s for %s is published with other bytes (sha512 %.16s, %d bytes; the new file has %.16s, %d bytes)",
		it.Item.Name, it.Item.Version, it.Item.Platform, old.SHA512, old.Length, it.Content.SHA512, it.Content.Length)
}
