package repo

import (
	"bytes"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Standing compares what is published with everything else in this folder that carries
// a version, and gives what an older copy of repository/ (a backup, a sync, a checkout)
// left behind; nil if nothing did. Nobody may build on such a state: agents saw the
// newer files. Errors in it: *RefusedError{WentBack, LostVersions, SignAbove}.
func (r *Repo) Standing(p *Published) ([]error, error) {
	if j, found, err := r.readJournal(); err == nil && found && r.overtaken(j) == "" {
		if lost := r.lostOf(j); len(lost) > 0 {
			return []error{lostFile(lost[0].To)}, nil
		}
	}
	lists, err := r.numbered()
	if err != nil {
		return nil, err
	}
	h, err := r.readHistory()
	if err != nil {
		return nil, err
	}
	s := standing{r: r, p: p, h: h, lists: lists}
	s.root()
	s.sets()
	s.lost()
	return s.found, nil
}

// CheckStanding refuses to build on a folder that went back.
func (r *Repo) CheckStanding(p *Published) error {
	found, err := r.Standing(p)
	if err != nil || len(found) == 0 {
		return err
	}
	return found[0]
}

// checkHistory refuses a change that would publish a number which agents may have seen
// with other content, or a root that older agents cannot reach.
func (r *Repo) checkHistory(p *Published, c *Change) error {
	if err := r.CheckStanding(p); err != nil {
		return err
	}
	if err := r.checkFollowed(p, c); err != nil {
		return err
	}
	n, err := r.numbers(p)
	if err != nil {
		return err
	}
	for _, d := range c.Docs() {
		if !n.free(d.Role(), d.Version()) {
			return meta.Refuse(meta.PublishedMoved, "the staged change is %s v%d, and that version was published from here or lies in repository/ already", d.Role(), d.Version())
		}
	}
	if p.givenUp && c.targetsDoc == nil {
		return signAbove(p)
	}
	return nil
}

// checkFollowed: no root is put behind a gap, and nothing else is published behind one
// either. A folder that has no N.root.json at all is one that was fetched in part.
func (r *Repo) checkFollowed(p *Published, c *Change) error {
	lists, err := r.numbered()
	if err != nil {
		return err
	}
	if c.rootDoc == nil && len(lists[meta.RoleRoot]) == 0 {
		return nil
	}
	return r.CheckChain(p)
}

// signAbove: snapshot and timestamp alone would show agents older targets than they
// have seen.
func signAbove(p *Published) error {
	return meta.Refuse(meta.SignAbove, "newer versions were published from here and given up: targets and snapshot have to be signed above them first (snapshot v%d is here)", p.VersionOf(meta.RoleSnapshot))
}

type standing struct {
	r     *Repo
	p     *Published
	h     history
	lists map[string][]int64
	found []error
}

func (s *standing) back(format string, args ...any) {
	s.found = append(s.found, meta.Refuse(meta.WentBack, format, args...))
}

// root: the next root lies here already, so agents are ahead of root.json.
func (s *standing) root() {
	mine := s.p.Root.Version()
	list := s.lists[meta.RoleRoot]
	if len(list) == 0 || list[len(list)-1] <= mine {
		return
	}
	newest := list[len(list)-1]
	s.back(`"repository/root.json" is version %d, and %q lies beside it: an older file was put back`, mine, "repository/"+versioned(newest, "root.json"))
}

// sets: with consistent snapshots a newer snapshot whose targets are here too, or other
// bytes under the same number.
func (s *standing) sets() {
	if !s.p.Root.ConsistentSnapshot() || s.p.Snapshot == nil || s.p.givenUp {
		return
	}
	if set, ok := s.r.newestSet(s.p.Root, above(s.lists[meta.RoleSnapshot], s.p.Snapshot.Version())); ok {
		s.back(`"repository/snapshot.json" is version %d, and %q lies beside it with the targets it names: an older file was put back`,
			s.p.Snapshot.Version(), "repository/"+versioned(set.snapshot.Version, "snapshot.json"))
		return
	}
	s.sameAs("snapshot.json", s.p.Snapshot.Version(), s.p.snapshotData)
	if s.p.Targets != nil {
		s.sameAs("targets.json", s.p.Targets.Version(), s.p.targetsData)
	}
}

// above gives the versions of an ascending list that are higher than one.
func above(list []int64, version int64) []int64 {
	i, found := slices.BinarySearch(list, version)
	if found {
		i++
	}
	return list[i:]
}

func (s *standing) sameAs(name string, version int64, data []byte) {
	numbered, err := s.r.readMetadata(versioned(version, name), int64(len(data))+1)
	if notExist(err) || err == nil && bytes.Equal(numbered, data) {
		return
	}
	s.back("%q and %q are both version %d and differ; clients read the numbered one", "repository/"+name, "repository/"+versioned(version, name), version)
}

// lost: the history names more than lies here.
func (s *standing) lost() {
	if len(s.found) > 0 {
		return // mending may bring it back
	}
	for _, role := range []string{meta.RoleRoot, meta.RoleTargets, meta.RoleSnapshot} {
		m, now := s.h.Roles[role], s.p.VersionOf(role)
		if now == 0 || s.h.GivenUp && role != meta.RoleRoot {
			continue
		}
		kind := meta.LostVersions
		if role == meta.RoleRoot {
			kind = meta.LostRoot
		}
		switch {
		case m.Version > now:
			s.found = append(s.found, meta.Refuse(kind, "%s v%d was published from here, and only v%d is here: an older copy was put back", role, m.Version, now))
		case role == meta.RoleRoot && m.contradicts(s.p.marks()[role]):
			s.found = append(s.found, s.r.rootTwice(rootLink{s.p.Root, s.p.rootEnv, s.p.rootData}, m))
		case m.contradicts(s.p.marks()[role]):
			s.found = append(s.found, meta.Refuse(kind, "%s v%d was published from here with other content than it has now: an older copy was put back and signed again", role, now))
		}
	}
}

// set is a snapshot and the targets that it names, as N.*.json lie here.
type set struct {
	snapshot, targets meta.File
	meta              *meta.Listing
}

// newestSet finds the snapshot of the highest version that root's keys signed and whose
// targets are here and signed as well.
func (r *Repo) newestSet(root *meta.Root, versions []int64) (set, bool) {
	for _, n := range slices.Backward(versions) {
		if s, ok := r.readSet(root, n); ok {
			return s, true
		}
	}
	return set{}, false
}

func (r *Repo) readSet(root *meta.Root, n int64) (set, bool) {
	data, env, err := r.readNamed(root, meta.RoleSnapshot, versioned(n, "snapshot.json"))
	if err != nil {
		return set{}, false
	}
	l, err := meta.ParseListing(meta.RoleSnapshot, env.Text())
	if err != nil || l.Version() != n {
		return set{}, false
	}
	m := l.Meta()
	targets, tenv, err := r.readNamed(root, meta.RoleTargets, versioned(m.Version, "targets.json"))
	if err != nil || !meta.Matches(m, targets, m.Version) {
		return set{}, false
	}
	if t, err := meta.ParseTargets(tenv.Text()); err != nil || t.Version() != m.Version {
		return set{}, false
	}
	return set{snapshot: meta.File{Version: n, Data: data}, targets: meta.File{Version: m.Version, Data: targets}, meta: l}, true
}

// readNamed reads a role's file of any name and verifies its signatures against root.
func (r *Repo) readNamed(root *meta.Root, role, name string) ([]byte, *meta.Envelope, error) {
	data, err := r.readMetadata(name, tuf.MaxSize(role))
	if err != nil {
		return nil, nil, err
	}
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return nil, nil, &meta.FileError{File: "repository/" + name, Reason: err.Error()}
	}
	return data, env, meta.Verify(root, role, "repository/"+name, env)
}
