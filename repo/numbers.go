package repo

import (
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// number is a version that may be signed: nothing that was ever seen here carries it or
// a higher one. Only [numbers.next] makes one.
type number struct{ v int64 }

// numbers knows, of each role, the highest version that anything in this folder carries:
// the plain files and what they name, the N.<role>.json, the history, and what was noted
// elsewhere.
type numbers struct{ known map[string][]int64 }

// numbers collects what carries a number; p is nil at init.
func (r *Repo) numbers(p *Published) (*numbers, error) {
	n := &numbers{known: map[string][]int64{}}
	if p == nil {
		return n, nil // CheckInit has refused every metadata file
	}
	lists, err := r.numbered()
	if err != nil {
		return nil, err
	}
	h, err := r.readHistory()
	if err != nil {
		return nil, err
	}
	for _, role := range meta.Roles() {
		// The published one first: see next.
		n.saw(role, p.VersionOf(role), h.Roles[role].Version)
		// A number that nobody can have reached is not one of ours; see [tuf.MaxJump].
		for _, v := range slices.Backward(lists[role]) {
			if tuf.CheckVersion(role, max(p.VersionOf(role), h.Roles[role].Version), v) == nil {
				n.saw(role, v)
				break
			}
		}
	}
	if p.Snapshot != nil {
		n.saw(meta.RoleTargets, p.Snapshot.Meta().Version)
	}
	if p.Timestamp != nil {
		n.saw(meta.RoleSnapshot, p.Timestamp.Meta().Version)
	}
	if err := r.sawNoted(n, p); err != nil {
		return nil, err
	}
	if p.givenUp {
		// Each root that took keys from targets or snapshot came with a timestamp, so one at
		// least as high as there were such roots is lost (COMPAT 5.4).
		n.saw(meta.RoleTimestamp, p.Root.Version()-1)
	}
	// A file that does not verify may be one that agents have seen, under older keys.
	for role, v := range p.claimed {
		n.saw(role, v)
	}
	return n, nil
}

// Noted is a version that somebody wrote down elsewhere, such as in a ceremony's
// transcript, with the key that signed it.
type Noted struct {
	Role    string
	Version int64
	KeyID   tuf.KeyID
}

// sawNoted takes what was noted of this repository: one log may be of several, so only
// what a key of the role has signed counts.
func (r *Repo) sawNoted(n *numbers, p *Published) error {
	if r.noted == nil {
		return nil
	}
	noted, err := r.noted()
	if err != nil {
		return err
	}
	for _, s := range noted {
		ours := slices.ContainsFunc(p.Root.Keys(s.Role), func(k meta.Key) bool { return k.ID == s.KeyID })
		if ours && tuf.CheckVersion(s.Role, p.VersionOf(s.Role), s.Version) == nil {
			n.saw(s.Role, s.Version)
		}
	}
	return nil
}

func (n *numbers) saw(role string, versions ...int64) {
	n.known[role] = append(n.known[role], versions...)
}

// nextFor gives the version that a change to what is published signs next, and refuses
// a folder that went back.
func (r *Repo) nextFor(p *Published, role string) (number, error) {
	if err := r.CheckStanding(p); err != nil {
		return number{}, err
	}
	n, err := r.numbers(p)
	if err != nil {
		return number{}, err
	}
	return n.next(role)
}

// NextVersion is the version of a role that is signed next.
func (r *Repo) NextVersion(p *Published, role string) (int64, error) {
	n, err := r.numbers(p)
	if err != nil {
		return 0, err
	}
	next, err := n.next(role)
	return next.v, err
}

// next gives the version to sign. Agents follow no root but the next one, so where one
// of that number was seen already there is none. Errors: *RefusedError{VersionRegress},
// *tuf.VersionError.
func (n *numbers) next(role string) (number, error) {
	v, err := tuf.NextVersion(role, n.known[role]...)
	if err != nil {
		return number{}, err
	}
	if role == meta.RoleRoot && len(n.known[role]) > 0 && v != n.known[role][0]+1 {
		return number{}, meta.Refuse(meta.VersionRegress, "root v%d cannot be signed: v%d was published from here or lies in repository/ already", n.known[role][0]+1, v-1)
	}
	return number{v}, nil
}

// free reports whether a version that is signed already may be published.
func (n *numbers) free(role string, version int64) bool {
	next, err := n.next(role)
	return err == nil && version >= next.v
}

// Versions gives the versions that are published once the release is committed.
func (rel *Release) Versions() map[string]int64 {
	v := map[string]int64{meta.RoleRoot: rel.root.Version(), meta.RoleSnapshot: rel.snapshotFile.Version}
	switch {
	case rel.c != nil:
		v[meta.RoleTargets] = rel.targetsFile.Version
	case rel.p.Targets != nil:
		v[meta.RoleTargets] = rel.p.Targets.Version()
	default:
		v[meta.RoleTargets] = rel.p.Snapshot.Meta().Version
	}
	switch {
	case rel.timestamp != nil:
		v[meta.RoleTimestamp] = rel.timestamp.Version()
	case rel.p != nil:
		v[meta.RoleTimestamp] = rel.p.Timestamp.Version()
	}
	return v
}
