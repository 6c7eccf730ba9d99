package repo

import (
	"fmt"
	"path"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// WouldWrite is a file that a commit would write.
type WouldWrite struct {
	Path string `json:"path"` // below the folder of the repository, with slashes
	// Size is that of content, 0 for metadata, whose signatures are not there yet.
	Size int64 `json:"size,omitempty"`
}

// Rehearse says which command a dry run is of. It takes no lock.
func (r *Repo) Rehearse(command string) { r.command = command }

// WouldWrite lists the files that the commit of a change would write, the timestamp last,
// and the roles that would be signed for it besides the change's own.
func (r *Repo) WouldWrite(p *Published, c *Change, opts ReleaseOptions) ([]WouldWrite, []string, error) {
	rel := &Release{p: p, c: c, root: c.root, opts: opts, now: r.now()}
	rel.decide()
	numbers, err := r.numbers(p)
	if err != nil {
		return nil, nil, err
	}
	out, err := r.newTargetFiles(p, c)
	if err != nil {
		return nil, nil, err
	}
	add := func(role string, version int64) {
		if c.root.ConsistentSnapshot() && role != meta.RoleTimestamp || role == meta.RoleRoot {
			out = append(out, WouldWrite{Path: "repository/" + versioned(version, role+".json")})
		}
		out = append(out, WouldWrite{Path: "repository/" + role + ".json"})
	}
	for _, d := range c.Docs() {
		add(d.Role(), d.Version())
	}
	for _, role := range rel.Roles() {
		next, err := numbers.next(role)
		if err != nil {
			return nil, nil, err
		}
		add(role, next.v)
	}
	return out, rel.Roles(), nil
}

// newTargetFiles lists the targets that are new under their paths.
func (r *Repo) newTargetFiles(p *Published, c *Change) ([]WouldWrite, error) {
	var out []WouldWrite
	if c.targets == nil {
		return nil, nil
	}
	for _, name := range c.targets.Paths() {
		t, _, err := c.targets.Get(name)
		if err != nil {
			return nil, err
		}
		if p != nil && p.Targets != nil {
			old, had, err := p.Targets.Get(name)
			if err != nil {
				return nil, fmt.Errorf("target %q: %w", name, err)
			}
			if had && old.SHA512 == t.SHA512 && p.Root.ConsistentSnapshot() == c.root.ConsistentSnapshot() {
				continue
			}
		}
		at := name
		if c.root.ConsistentSnapshot() {
			at = meta.HashedPath(name, t.SHA512)
		}
		out = append(out, WouldWrite{Path: path.Join("repository/targets", at), Size: t.Length})
	}
	return out, nil
}
