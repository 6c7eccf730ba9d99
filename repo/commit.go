package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Commit publishes a release. Everything new is written and synced below
// pending/commit first, then the journal, then the renames. The lock must be held.
// Errors: *ShortError, *RefusedError, *InterruptedError, and what the file system says.
func (r *Repo) Commit(rel *Release) error {
	b, err := r.prepare(rel)
	if err != nil {
		return err
	}
	if rel.c == nil && len(b.renames) == 1 {
		err = b.publishOne()
	} else {
		err = b.publishAll(rel)
	}
	if err == nil {
		r.noteSound(b.sound)
	}
	return err
}

func (b *builder) publishAll(rel *Release) error {
	j, err := b.decide(rel)
	if err != nil {
		return err
	}
	if err := b.r.apply(j); err != nil {
		return &InterruptedError{Err: err}
	}
	return nil
}

// prepare writes what a release publishes below pending/commit, and refuses what could
// not be moved from there.
func (r *Repo) prepare(rel *Release) (*builder, error) {
	files, err := rel.finish()
	if err != nil {
		return nil, err
	}
	if rel.p != nil {
		// What another tool published since our last commit. See remembered.
		if err := r.Remember(rel.p); err != nil {
			return nil, err
		}
	}
	if err := r.prepareWeb(); err != nil {
		return nil, err
	}
	b := &builder{r: r, sound: r.soundAfter(rel, files)}
	if err := b.begin(); err != nil {
		return nil, err
	}
	if err := b.fill(rel, files); err != nil {
		return nil, b.abandon(err)
	}
	return b, nil
}

func (b *builder) fill(rel *Release, files []webFile) error {
	if rel.c != nil {
		if err := b.prepareTargets(rel); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := b.write(f); err != nil {
			return err
		}
	}
	if err := b.r.touchRemoved(rel); err != nil {
		return err
	}
	if err := b.r.checkDestinations(b.renames); err != nil {
		return err
	}
	return b.r.checkOneFile(rel, b.renames)
}

// decide writes the journal: from here on the next command publishes what is prepared,
// whatever fails.
func (b *builder) decide(rel *Release) (journal, error) {
	r := b.r
	if err := atomicfile.SyncDir(r.pending("commit")); err != nil {
		return journal{}, b.abandon(err)
	}
	j := journal{Schema: 1, Change: rel.c != nil, Renames: b.renames, Marks: b.marks}
	if err := r.writeJournal(j); err != nil {
		// It may be in place although making it durable failed; it goes before what it
		// names does.
		if rerr := os.Remove(r.pending("journal")); rerr != nil && !notExist(rerr) {
			rel.keep()
			return journal{}, &InterruptedError{Err: errors.Join(err, rerr)}
		}
		_ = atomicfile.SyncDir(r.pending())
		return journal{}, b.abandon(err)
	}
	rel.keep()
	if rel.p == nil {
		// What another repository left in this folder says nothing of this one.
		_ = os.Remove(r.pending(historyFile))
	}
	return j, nil
}

// publishOne moves the only file of a commit into place: the next timestamp. One rename
// happens or does not, so there is nothing that a journal would have to finish.
func (b *builder) publishOne() error {
	dirs := newDirSet()
	if err := b.moveOne(dirs); err != nil {
		return b.abandon(fmt.Errorf("publishing %q: %w", b.renames[0].To, err))
	}
	if err := dirs.sync(); err != nil {
		return &InterruptedError{Err: err}
	}
	// An empty folder that stays is cleared by the next command.
	_ = os.RemoveAll(b.r.pending("commit"))
	return nil
}

// moveOne notes the number before clients can see it: whoever is killed in between, and
// has an older copy put over the folder, would sign it again. One that is noted and not
// published is passed over.
func (b *builder) moveOne(dirs *dirSet) error {
	b.r.remembered(nil, b.marks)
	return b.r.move(b.renames[0], dirs)
}

// keep marks the change as standing in the journal: from here on the next command
// publishes it whatever fails here, so the caller must not take back its keys.
func (rel *Release) keep() {
	if rel.c != nil {
		rel.c.Fresh = false
	}
}

// prepareWeb makes the web root and sees to it that renames into it are possible.
func (r *Repo) prepareWeb() error {
	if err := r.unlinked("repository/targets"); err != nil {
		return err
	}
	for _, dir := range []string{r.path("repository"), r.web("targets")} {
		if err := makeWebFolder(dir); err != nil {
			return err
		}
	}
	return r.sameDevice(r.web("targets"))
}

// builder collects the files of a commit.
type builder struct {
	r       *Repo
	renames []rename
	sound   map[string]string // see soundAfter
	marks   map[string]mark   // of the plain files among them, by role
}

func (b *builder) begin() error {
	if err := os.RemoveAll(b.r.pending("commit")); err != nil {
		return err
	}
	return os.Mkdir(b.r.pending("commit"), 0o700)
}

// abandon clears what was prepared; the journal was not written.
func (b *builder) abandon(err error) error {
	// The next holder of the lock clears it too, so a failure here costs nothing.
	_ = os.RemoveAll(b.r.pending("commit"))
	return err
}

// next names the next prepared file and notes where it goes.
func (b *builder) next(to string) string {
	from := filepath.Join("commit", strconv.Itoa(len(b.renames)))
	b.renames = append(b.renames, rename{From: filepath.ToSlash(from), To: "repository/" + to})
	return b.r.pending(from)
}

func (b *builder) write(f webFile) error {
	if role, ok := plainRole(f.name); ok {
		m, err := markIn(f.data)
		if err != nil {
			return err
		}
		if b.marks == nil {
			b.marks = map[string]mark{}
		}
		b.marks[role] = m
	}
	path := b.next(f.name)
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := out.Write(f.data); err != nil {
		_ = out.Close()
		return fmt.Errorf("writing repository/%s: %w", f.name, err)
	}
	return finishContent(out)
}

// prepareTargets prepares the bytes of every target whose entry is new or changed, or
// of all of them if the layout changes.
func (b *builder) prepareTargets(rel *Release) error {
	if rel.c.targetsDoc == nil && !rel.layoutFlips() {
		return nil
	}
	list, err := rel.toPublish()
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, target := range list {
		if err := b.prepareTarget(rel, target, used); err != nil {
			return err
		}
	}
	return nil
}

func (rel *Release) layoutFlips() bool {
	return rel.p != nil && rel.p.Root.ConsistentSnapshot() != rel.root.ConsistentSnapshot()
}

func (b *builder) prepareTarget(rel *Release, t meta.Target, used map[string]bool) error {
	staged := b.r.pending("content", t.SHA512)
	isStaged, err := exists(staged)
	if err != nil {
		return err
	}
	consistent := rel.root.ConsistentSnapshot()
	dest := t.Path
	if consistent {
		dest = meta.HashedPath(t.Path, t.SHA512)
	}
	if !isStaged {
		return b.preparePublished(rel, t, dest, used)
	}
	from := staged
	if err := CheckSize(from, t); err != nil {
		return err
	}
	if !used[t.SHA512] {
		if err := b.r.checkContent(from, t); err != nil {
			return err
		}
	}
	to := b.next("targets/" + dest)
	// Flat: the first path takes the staged file itself (it is gone from pending/content
	// after the commit), each further path gets bytes of its own.
	first := !used[t.SHA512]
	used[t.SHA512] = true
	if consistent || first {
		return linkContent(from, to)
	}
	return copyContent(from, to)
}

// preparePublished takes bytes that are published already under another path. Links of
// one content are hashed once.
func (b *builder) preparePublished(rel *Release, t meta.Target, dest string, used map[string]bool) error {
	there := b.r.web("targets/" + dest)
	if st, err := os.Lstat(there); err == nil && rel.root.ConsistentSnapshot() && st.Mode().IsRegular() && st.Size() == t.Length {
		return b.r.checkContent(there, t) // named after its hash and there already
	}
	from, err := b.r.publishedFile(rel.p, t)
	if err != nil {
		return err
	}
	to := b.next("targets/" + dest)
	if !rel.root.ConsistentSnapshot() || !rel.p.Root.ConsistentSnapshot() {
		if err := copyContent(from, to); err != nil {
			return err
		}
		return b.r.checkContent(to, t)
	}
	if !used[t.SHA512] {
		if err := b.r.checkContent(from, t); err != nil {
			return err
		}
		used[t.SHA512] = true
	}
	return linkContent(from, to)
}

// PublishedPath is the file of a published target.
func (r *Repo) PublishedPath(p *Published, path, sha512 string) string {
	return r.web("targets/" + r.pathOf(p, path, sha512))
}

// pathOf is where the bytes of a target lie below targets/.
func (r *Repo) pathOf(p *Published, path, sha512 string) string {
	if p.Root.ConsistentSnapshot() {
		return meta.HashedPath(path, sha512)
	}
	return path
}

// CheckSize refuses a file that has not the length of a target. Errors: *ContentError.
func CheckSize(file string, t meta.Target) error {
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Size() != t.Length {
		return &ContentError{Path: file, Reason: fmt.Sprintf("has %d bytes; metadata says %d", st.Size(), t.Length)}
	}
	return nil
}

// Discard drops the staged change and names what it dropped. Errors:
// ErrNothingStaged.
func (r *Repo) Discard() error {
	staged, err := r.HasStaged()
	if err != nil {
		return err
	}
	if !staged {
		return ErrNothingStaged
	}
	if err := r.dropStaged(); err != nil {
		return err
	}
	return atomicfile.SyncDir(r.pending())
}

func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
