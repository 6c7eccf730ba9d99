package diff

import (
	"fmt"
	"path"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// WouldWrite is a file that a commit would write.
type WouldWrite struct {
	Path string `json:"path"` // below the folder of the repository, with slashes
	// Size is that of content, 0 for metadata, whose signatures are not there yet.
	Size int64 `json:"size,omitempty"`
}

// Writes lists the files that the commit of a change would write, the timestamp last,
// and the roles that would be signed for it besides the change's own.
func Writes(r *repo.Repo, p *repo.Published, c *repo.Change, opts repo.ReleaseOptions) (files []WouldWrite, besides []string, err error) {
	besides = r.Following(p, c, opts)
	out, err := newTargetFiles(p, c)
	if err != nil {
		return nil, nil, err
	}
	add := func(role string, version int64) {
		if c.Root().ConsistentSnapshot() && role != meta.RoleTimestamp || role == meta.RoleRoot {
			out = append(out, WouldWrite{Path: "repository/" + meta.FileName(role, version)})
		}
		out = append(out, WouldWrite{Path: "repository/" + role + ".json"})
	}
	for _, d := range c.Docs() {
		add(d.Role(), d.Version())
	}
	for _, role := range besides {
		next, err := r.NextVersion(p, role)
		if err != nil {
			return nil, nil, err
		}
		add(role, next)
	}
	return out, besides, nil
}

// newTargetFiles lists the targets that are new under their paths.
func newTargetFiles(p *repo.Published, c *repo.Change) ([]WouldWrite, error) {
	var out []WouldWrite
	if c.Targets() == nil {
		return nil, nil
	}
	for _, name := range c.Targets().Paths() {
		t, _, err := c.Targets().Get(name)
		if err != nil {
			return nil, err
		}
		if p != nil && p.Targets != nil {
			old, had, err := p.Targets.Get(name)
			if err != nil {
				return nil, fmt.Errorf("target %q: %w", name, err)
			}
			if had && old.SHA512 == t.SHA512 && p.Root.ConsistentSnapshot() == c.Root().ConsistentSnapshot() {
				continue
			}
		}
		at := name
		if c.Root().ConsistentSnapshot() {
			at = meta.HashedPath(name, t.SHA512)
		}
		out = append(out, WouldWrite{Path: path.Join("repository/targets", at), Size: t.Length})
	}
	return out, nil
}
