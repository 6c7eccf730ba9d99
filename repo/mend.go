package repo

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Mended says what [Repo.Mend] did.
type Mended struct {
	// Done is what was put in order, in words; empty if all was.
	Done []string
}

// Mend puts a folder in order over which an older copy was laid, as far as the files
// here allow it and without any key: the newest root that the chain reaches becomes
// root.json, a root that is missing from the chain is put back from root.json, pending/
// or fleetctl's backup, and with consistent snapshots the newest whole set of
// N.snapshot.json and N.targets.json becomes the plain files, or the plain ones are copied
// to a number that is missing or holds what nobody signed. What is lost is refused,
// unless giveUp says that it stays lost: then the next change is built on what is here
// and numbered above it. The lock must be held. Errors: *RefusedError{RootChain,
// LostVersions}, *FileError.
func (r *Repo) Mend(giveUp bool) (Mended, error) {
	h, err := r.readHistory()
	if err != nil {
		return Mended{}, err
	}
	m := mender{r: r, h: h}
	if err := m.roots(); err != nil {
		return Mended{}, err
	}
	if err := m.sets(); err != nil {
		return Mended{}, err
	}
	m.copies()
	if err := m.publish(); err != nil {
		return Mended{}, err
	}
	return m.rest(giveUp)
}

type mender struct {
	r     *Repo
	h     history
	top   rootLink
	files []webFile
	junk  []string // names in repository/ that a file of files takes
	done  []string
}

func (m *mender) put(name string, data []byte, format string, args ...any) {
	if there, err := os.ReadFile(m.r.web(name)); err == nil && bytes.Equal(there, data) {
		return
	}
	m.files = append(m.files, webFile{name, data})
	m.done = append(m.done, fmt.Sprintf(format, args...))
}

// roots walks the chain from the oldest root here to the newest, and fills its gaps.
func (m *mender) roots() error {
	lists, err := m.r.numbered()
	if err != nil {
		return err
	}
	list := lists[meta.RoleRoot]
	plain, perr := m.r.readRootLink("root.json")
	if perr != nil && len(list) == 0 {
		if notExist(perr) {
			return fmt.Errorf("%w: %q has no repository/root.json", ErrNoRepository, m.r.dir)
		}
		return perr
	}
	first, last := int64(0), int64(0)
	if perr == nil {
		first, last = plain.root.Version(), plain.root.Version()
	}
	if len(list) > 0 {
		if first == 0 {
			first = list[0]
		}
		first, last = min(first, list[0]), max(last, list[len(list)-1])
	}
	if last-first >= MaxRoots {
		return meta.Refuse(meta.RootChain, "%d roots lie between %q and root v%d; clients follow %d", last-first, "repository/"+versioned(first, "root.json"), last, MaxRoots)
	}
	for n := first; n <= last; n++ {
		link, err := m.link(n)
		if err != nil {
			return brokenChain(n, err)
		}
		if m.contradicts(meta.RoleRoot, link.mark()) {
			return m.r.rootTwice(link, m.h.Roles[meta.RoleRoot])
		}
		m.top = link
	}
	m.put("root.json", m.top.data, "root.json is version %d again", m.top.root.Version())
	return nil
}

// link gives a root of the chain that the one before it signed, from where it lies.
func (m *mender) link(n int64) (rootLink, error) {
	file := "repository/" + versioned(n, "root.json")
	l, err := m.r.numberedRoot(n)
	if err == nil {
		return l, m.follows(file, l)
	}
	if !notExist(err) {
		return l, err
	}
	for _, from := range m.r.spareRoots() {
		data, rerr := readLimited(from, from, meta.MaxRootSize)
		if rerr != nil {
			continue
		}
		root, env, rerr := meta.OpenRoot(from, data)
		if rerr != nil || root.Version() != n {
			continue
		}
		if spare := (rootLink{root, env, data}); m.follows(file, spare) == nil {
			m.put(versioned(n, "root.json"), data, "%d.root.json was missing and is put back from %q", n, from)
			return spare, nil
		}
	}
	return rootLink{}, err
}

func (m *mender) follows(file string, l rootLink) error {
	if m.top.root == nil {
		return nil
	}
	return meta.Follows(file, m.top.root, l.root, l.env)
}

// spareRoots lists the files in which a root that is missing may lie.
func (r *Repo) spareRoots() []string {
	files := []string{r.web("root.json")}
	for _, dir := range []string{r.pending(), r.pending("commit"), r.web(".backup")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.Type().IsRegular() {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files
}

// sets makes the newest whole set the plain files.
func (m *mender) sets() error {
	if !m.top.root.ConsistentSnapshot() {
		return nil
	}
	lists, err := m.r.numbered()
	if err != nil {
		return err
	}
	s, ok := m.r.newestSet(m.top.root, lists[meta.RoleSnapshot])
	if !ok || m.plainNewer(s) || m.twice(s) {
		return nil
	}
	m.cold(s)
	m.put("targets.json", s.targets.Data, "targets.json is version %d again", s.targets.Version)
	m.put("snapshot.json", s.snapshot.Data, "snapshot.json is version %d again", s.snapshot.Version)
	return nil
}

// cold makes the numbered files of cold roles that a set names the plain ones.
func (m *mender) cold(s set) {
	for _, file := range slices.Sorted(maps.Keys(s.meta.Files())) {
		if file == meta.Below(meta.RoleSnapshot) || meta.CheckPath(file) != nil || strings.Contains(file, "/") {
			continue
		}
		named := meta.FileMeta(s.meta.Files()[file])
		data, err := m.r.readMetadata(versioned(named.Version, file), tuf.MaxTargets)
		if err == nil && len(named.Hashes) > 0 && named.Fits(data) == nil {
			m.put(file, data, "%s is version %d again", file, named.Version)
		}
	}
}

// contradicts reports whether the history knows this version with another content.
func (m *mender) contradicts(role string, now mark) bool {
	return m.h.Roles[role].contradicts(now)
}

// twice reports whether a set holds a version that was published from here with another
// content, or is older than what was: another tool may have signed it again.
func (m *mender) twice(s set) bool {
	for role, file := range map[string]meta.File{meta.RoleSnapshot: s.snapshot, meta.RoleTargets: s.targets} {
		now, err := markIn(file.Data)
		if err != nil || m.contradicts(role, now) || now.Version < m.h.Roles[role].Version {
			return true
		}
	}
	return false
}

// plainNewer: the plain snapshot verifies and has no numbered copy yet, as after a
// change of the layout that fleetctl made.
func (m *mender) plainNewer(s set) bool {
	_, env, err := m.r.readNamed(m.top.root, meta.RoleSnapshot, "snapshot.json")
	if err != nil {
		return false
	}
	plain, err := markOfEnvelope(env)
	return err == nil && plain.Version > s.snapshot.Version
}

// publish puts the files in place as a commit does.
func (m *mender) publish() error {
	if len(m.files) == 0 {
		return nil
	}
	b := &builder{r: m.r}
	if err := b.begin(); err != nil {
		return err
	}
	for _, f := range m.files {
		if err := b.write(f); err != nil {
			return b.abandon(err)
		}
	}
	// Clients refuse it as it is, so it may be gone for a moment.
	for _, name := range m.junk {
		if err := os.Remove(m.r.web(name)); err != nil {
			return b.abandon(err)
		}
	}
	if err := m.r.checkDestinations(b.renames); err != nil {
		return b.abandon(err)
	}
	if err := atomicfile.SyncDir(m.r.pending("commit")); err != nil {
		return b.abandon(err)
	}
	// Not one step as a commit is: each file is right by itself, and a mending that is
	// cut off is begun again.
	dirs := newDirSet()
	for _, mv := range b.renames {
		if err := m.r.move(mv, dirs); err != nil {
			return b.abandon(fmt.Errorf("mending %q: %w", mv.To, err))
		}
	}
	if err := dirs.sync(); err != nil {
		return err
	}
	// Clients see it from here on, whatever is still missing.
	m.r.remembered(journal{Renames: b.renames}.webNames(), nil)
	return os.RemoveAll(m.r.pending("commit"))
}

// rest judges what the files here could not mend.
func (m *mender) rest(giveUp bool) (Mended, error) {
	out := Mended{Done: m.done}
	p, err := m.r.Load()
	if err == nil {
		err = m.r.CheckStanding(p)
	} else {
		err = unusable(err)
	}
	if err == nil {
		err = m.r.Remember(p)
		return out, errors.Join(err, lostCold(p))
	}
	if !giveUp {
		return out, err
	}
	before, err := m.r.readHistory()
	if err != nil {
		return out, err
	}
	if err := m.giveUp(); err != nil {
		return out, err
	}
	if p, err = m.r.Load(); err != nil {
		return out, unusable(err)
	}
	if err := m.r.CheckStanding(p); err != nil {
		return out, err
	}
	if err := lostCold(p); err != nil {
		return out, errors.Join(err, m.r.writeHistory(before))
	}
	out.Done = append(out.Done, "what is lost is given up; the next change is numbered above it")
	return out, nil
}

// lostCold names the first cold role whose file is lost. Giving it up would not help: agents
// that have stored the role go on asking for what it held.
func lostCold(p *Published) error {
	for _, name := range p.Listed() {
		if f := p.cold[name]; f.err != nil && (f.ever || p.delegates(name)) {
			return unusable(f.err)
		}
	}
	return nil
}

// unusable: the plain files do not verify together, and nothing here can take their
// place.
func unusable(err error) error {
	var bad *meta.FileError
	if !errors.As(err, &bad) {
		return err
	}
	return meta.Refuse(meta.LostVersions, "%v, and nothing in this folder can take its place", err)
}

// giveUp notes that what is lost stays lost.
func (m *mender) giveUp() error {
	h, err := m.r.readHistory()
	if err != nil {
		return err
	}
	stamp, err := readLimited(m.r.web("timestamp.json"), "repository/timestamp.json", meta.MaxTimestampSize)
	if h.Roles[meta.RoleTimestamp].Version == 0 && err != nil {
		return meta.Refuse(meta.LostVersions, "nothing here tells which timestamp was the last (%v)", err)
	}
	if err == nil {
		now, err := markIn(stamp)
		if err == nil && tuf.CheckVersion(meta.RoleTimestamp, h.Roles[meta.RoleTimestamp].Version, now.Version) == nil {
			h.raise(map[string]mark{meta.RoleTimestamp: now})
		}
	}
	h.GivenUp = true
	return m.r.writeHistory(h)
}
