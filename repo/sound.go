package repo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Nobody builds on what clients refuse. What this package reads it has judged by its own
// rules; the [Judge] is another's reading of the same files, and stricter in places. It
// costs more than the rest of a change to a large repository, so what it found nothing
// against is remembered by the hashes of the files: whoever alone publishes here never
// waits for it.

// Judge looks at metadata as the strictest client does. Package verify is one; it shares
// no code with this package, so it is handed in.
type Judge interface {
	// Published names what stops clients in repository/. Expiry is not among it: every
	// command says itself what it makes of that.
	Published() ([]Fault, error)
	// Draft names what would stop clients in a file that is about to be signed.
	Draft(role string, consistent bool, file []byte) []Fault
}

// Fault is one thing that stops clients.
type Fault struct {
	Code string
	Role string // "" if it is of no single file
	File string // relative to the web root, or ""
	Text string
}

func (f Fault) String() string {
	if f.File == "" {
		return f.Code + ": " + f.Text
	}
	return fmt.Sprintf("%s %q: %s", f.Code, f.File, f.Text)
}

// FaultyError: what is published, or what is staged, stops clients, and the change would
// leave it so.
type FaultyError struct{ Faults []Fault }

func (e *FaultyError) Error() string {
	more := ""
	if n := len(e.Faults) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("clients refuse what would be published on this: %s%s", e.Faults[0], more)
}

// Is makes errors.Is(err, ErrMetadata) hold.
func (e *FaultyError) Is(target error) bool { return target == meta.ErrMetadata }

// CheckSound refuses a change after which clients would still meet what stops them now.
// Errors: *FaultyError.
func (r *Repo) CheckSound(p *Published, c *Change) error {
	rel := &Release{p: p, c: c, root: c.root, now: r.now()}
	rel.decide()
	return r.checkSound(rel)
}

func (r *Repo) checkSound(rel *Release) error {
	if err := CheckDelegations(rel.p, rel.c); err != nil {
		return err
	}
	if r.judge == nil {
		return nil
	}
	found, err := r.faults(rel.p)
	if err != nil {
		return err
	}
	signs := rel.Roles()
	for _, d := range rel.c.Docs() {
		signs = append(signs, d.Role())
	}
	kept := slices.DeleteFunc(slices.Clone(found), func(f Fault) bool { return slices.Contains(signs, f.Role) })
	if len(kept) < len(found) {
		// What a client says of the whole follows from what is signed anew.
		kept = slices.DeleteFunc(kept, func(f Fault) bool { return f.Role == "" })
	}
	// What we make of a sound file is sound. What another made, or may have, is looked at.
	if len(found) > 0 || rel.c.loaded {
		drafts, err := r.draftFaults(rel)
		if err != nil {
			return err
		}
		kept = append(kept, drafts...)
	}
	kept = append(kept, rel.namedTwice()...)
	if len(kept) > 0 {
		return &FaultyError{kept}
	}
	return nil
}

func (r *Repo) draftFaults(rel *Release) ([]Fault, error) {
	var all []Fault
	for _, d := range rel.c.Docs() {
		key := d.Role() + d.Hash()
		found, known := r.drafts[key]
		if !known {
			file, err := d.Bytes()
			if err != nil {
				return nil, err
			}
			found = r.judge.Draft(d.Role(), rel.root.ConsistentSnapshot(), file)
			r.drafts[key] = found
		}
		all = append(all, found...)
	}
	return all, nil
}

// faults gives what the judge finds in repository/.
func (r *Repo) faults(p *Published) ([]Fault, error) {
	if p == nil {
		return nil, nil
	}
	files := r.judgedFiles(p)
	if files != nil {
		h, err := r.readHistory()
		if err != nil {
			return nil, err
		}
		if maps.Equal(h.Sound, files) {
			return nil, nil
		}
		if r.judged.files != nil && maps.Equal(r.judged.files, files) {
			return r.judged.faults, nil
		}
	}
	found, err := r.judge.Published()
	if err == nil {
		r.judged.files, r.judged.faults = files, found
	}
	return found, err
}

// verdict is what the judge said of files, by their hashes.
type verdict struct {
	files  map[string]string
	faults []Fault
}

// judgedFiles gives the SHA-256 of the four files, by role; nil where they are not all
// that clients read. N.root.json have a check of their own, see CheckChain, and so have
// the numbered copies, see standing.
func (r *Repo) judgedFiles(p *Published) map[string]string {
	if p.hashes != nil {
		return maps.Clone(p.hashes)
	}
	if p.Targets == nil || p.givenUp || !p.coldFits() {
		return nil
	}
	if p.Root.ConsistentSnapshot() {
		for _, name := range []string{versioned(p.Targets.Version(), "targets.json"), versioned(p.Snapshot.Version(), "snapshot.json")} {
			if _, err := os.Lstat(r.web(name)); err != nil {
				return nil
			}
		}
	}
	p.hashes = map[string]string{
		meta.RoleRoot: hashOf(p.rootData), meta.RoleTargets: hashOf(p.targetsData),
		meta.RoleSnapshot: hashOf(p.snapshotData), meta.RoleTimestamp: hashOf(p.timestampData),
	}
	return maps.Clone(p.hashes)
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// soundAfter gives the hashes of what will be published, as [Repo.judgedFiles] does; nil
// unless all of it was found sound, or is made here of what was.
func (r *Repo) soundAfter(rel *Release, files []webFile) map[string]string {
	var after map[string]string
	switch {
	case r.judge == nil || rel.p == nil:
		return nil
	case rel.c != nil:
		after = r.judgedFiles(rel.p)
	default: // a timestamp is made of nothing that another wrote
		h, err := r.readHistory()
		if err != nil {
			return nil
		}
		after = h.Sound
	}
	for _, f := range files {
		if role, ok := plainRole(f.name); ok && after != nil {
			after[role] = hashOf(f.data)
		}
	}
	return after
}

// namedTwice: two paths that no UTF-8 can tell apart are one path to clients, who differ
// on which of the two counts. A change takes it out, or puts another in its place.
func (rel *Release) namedTwice() []Fault {
	var found []Fault
	if rel.p == nil || rel.p.targetsEnv == nil {
		return nil
	}
	after := rel.c.targets
	if after == nil {
		after = rel.p.Targets
	}
	for _, path := range rel.p.targetsEnv.Twice() {
		if now := after.Entry(path); now != nil && bytes.Equal(now, rel.p.Targets.Entry(path)) {
			found = append(found, Fault{Code: "duplicate-field", Role: meta.RoleTargets, File: "targets.json",
				Text: fmt.Sprintf("target %q stands there twice, and clients differ on which counts", path)})
		}
	}
	return found
}
