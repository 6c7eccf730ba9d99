package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// readPinned decodes the root to begin with.
func (w *walk) readPinned() bool {
	const file = "the trusted root"
	d, err := decode(file, roleRoot, w.o.Root)
	if err != nil {
		w.errorf(CodePinnedRoot, roleRoot, "", "%s cannot be used: %v", file, err)
		return false
	}
	if d.Type != roleRoot || d.Version < 1 || d.Version > 1<<31 {
		w.errorf(CodePinnedRoot, roleRoot, "", "%s is %q version %d, not a root", file, d.Type, d.Version)
		return false
	}
	d.file = rootFile(d.Version)
	w.pinned = d
	w.report.PinnedRoot = d.Version
	return true
}

// readRoots walks through every N.root.json: those below the pinned one, which
// older agents still need, and those above it up to the first that is not there.
func (w *walk) readRoots() {
	known, listed := w.src.roots()
	for v := w.lowest(known); v <= w.pinned.Version; v++ {
		w.readOldRoot(v)
	}
	if i := w.at(w.pinned.Version); i < 0 {
		w.chain = append(w.chain, w.pinned)
		w.checkRoot(w.pinned)
	}
	w.readNewRoots()
	w.trusted = w.chain[len(w.chain)-1]
	w.readUnreached(known)
	w.linkRoots()
	w.checkGaps(known, listed)
	w.checkRootCopy()
	w.report.ConsistentSnapshot = w.trusted.root.ConsistentSnapshot
	signed, _ := w.checkSignatures(w.trusted, w.rings[w.trusted.Version], roleRoot, w.trusted.root.Roles[roleRoot], CodeThreshold)
	w.addRole(w.trusted, w.trusted.root.Roles[roleRoot], signed)
	w.checkNextRoot(w.trusted.Version + 1)
}

// lowest is the first version worth asking for.
func (w *walk) lowest(known []int64) int64 {
	low := max(1, w.pinned.Version-maxRotations)
	if len(known) > 0 {
		return max(low, min(known[0], w.pinned.Version))
	}
	return low
}

func (w *walk) at(version int64) int {
	return slices.IndexFunc(w.chain, func(d *document) bool { return d.Version == version })
}

// readOldRoot reads a version up to the pinned one; a missing one is for checkGaps.
func (w *walk) readOldRoot(v int64) {
	if _, err := w.src.fetch(w.ctx, rootFile(v)); errors.Is(err, errMissing) {
		return
	}
	d := w.readRoot(v)
	if d == nil || v != w.pinned.Version || bytes.Equal(d.canonical, w.pinned.canonical) {
		return
	}
	w.warnf(CodePinnedDiffers, roleRoot, d.file, "it is not the trusted root, which has the same version: is this another repository?")
	// What follows must be signed by the keys that the client trusts.
	trusted := *w.pinned
	trusted.raw = d.raw
	w.chain[len(w.chain)-1] = &trusted
	w.rings[v] = w.readKeys(roleRoot, trusted.file, trusted.root.Keys)
}

// readNewRoots follows the chain as an agent does.
func (w *walk) readNewRoots() {
	for v := w.pinned.Version + 1; w.ctx.Err() == nil; v++ {
		_, err := w.src.fetch(w.ctx, rootFile(v))
		if errors.Is(err, errMissing) || isStatus(err) {
			return // the status is judged by checkNextRoot
		}
		if v > w.pinned.Version+maxRotations {
			w.errorf(CodeRootLimit, roleRoot, rootFile(v), "an agent follows %d new roots in one update, and this is one more", maxRotations)
			return
		}
		if w.readRoot(v) == nil {
			return
		}
	}
}

// readUnreached reads roots beyond a gap: no agent gets there now, but they will
// count once the gap is filled.
func (w *walk) readUnreached(known []int64) {
	for _, v := range known {
		if v > w.trusted.Version && v <= w.trusted.Version+maxRotations && w.ctx.Err() == nil {
			w.readRoot(v)
		}
	}
}

func isStatus(err error) bool {
	var status *statusError
	return errors.As(err, &status)
}

// readRoot reads N.root.json into the chain.
func (w *walk) readRoot(v int64) *document {
	d := w.read(rootFile(v), roleRoot)
	if d == nil {
		return nil
	}
	if len(d.raw) > maxRoot {
		w.errorf(CodeTooLarge, roleRoot, d.file, "%d bytes; agents read %d", len(d.raw), maxRoot)
	}
	if d.Version != v {
		w.errorf(CodeVersion, roleRoot, d.file, "it says version %d", d.Version)
		d.Version = v
	}
	w.chain = append(w.chain, d)
	w.checkRoot(d)
	return d
}

// checkRoot looks at the keys and roles of one root, and at its own signatures.
func (w *walk) checkRoot(d *document) {
	ring := w.checkKeysOf(d)
	w.rings[d.Version] = ring
	w.report.Roots = append(w.report.Roots, d.Version)
	w.checkSignatures(d, ring, roleRoot, d.root.Roles[roleRoot], CodeThreshold)
}

// checkKeysOf looks at what a root says of keys and roles.
func (w *walk) checkKeysOf(d *document) keyring {
	ring := w.readKeys(roleRoot, d.file, d.root.Keys)
	for _, name := range topLevel() {
		r := d.root.Roles[name]
		if r == nil {
			w.errorf(CodeRoleMissing, roleRoot, d.file, "there is no role %s", name)
			continue
		}
		w.checkRole(ring, name, roleRoot, r)
	}
	return ring
}

// linkRoots verifies each root with the keys of the one before it.
func (w *walk) linkRoots() {
	for i := 1; i < len(w.chain); i++ {
		before, d := w.chain[i-1], w.chain[i]
		if before.Version+1 != d.Version {
			continue // a gap
		}
		w.checkSignatures(d, w.rings[before.Version], roleRoot, before.root.Roles[roleRoot], CodeRootChain)
	}
}

// checkGaps names the versions that somebody's agent will ask for in vain.
func (w *walk) checkGaps(known []int64, listed bool) {
	var present []int64
	for _, v := range w.report.Roots {
		if _, err := w.src.fetch(w.ctx, rootFile(v)); err == nil {
			present = append(present, v)
		}
	}
	if listed {
		present = known
	}
	highest := w.chain[len(w.chain)-1].Version
	if copied := w.copyVersion(); copied > highest && copied <= highest+maxRotations {
		highest = copied
	}
	if n := len(present); n > 0 {
		highest = max(highest, min(present[n-1], highest+maxRotations))
	}
	first := highest + 1
	if len(present) > 0 {
		first = present[0]
	}
	if first > 1 {
		w.warnf(CodeRootFirst, roleRoot, rootFile(1), "%s not there: an agent packaged with that cannot follow", span(1, first-1))
	}
	before := first
	for _, v := range append(present, highest+1) {
		if v > before+1 {
			w.errorf(CodeRootGap, roleRoot, rootFile(before+1), "%s not there, and a later one is or should be: agents older than that stop at version %d", span(before+1, v-1), before)
		}
		before = max(before, v)
	}
}

func span(from, to int64) string {
	if from == to {
		return fmt.Sprintf("version %d is", from)
	}
	return fmt.Sprintf("versions %d to %d are", from, to)
}

// copyVersion is the version of root.json, or 0.
func (w *walk) copyVersion() int64 {
	b, err := w.src.fetch(w.ctx, "root.json")
	if err != nil {
		return 0
	}
	d, err := decode("root.json", roleRoot, b.data)
	if err != nil {
		return 0
	}
	return d.Version
}

// checkRootCopy: agents never ask for root.json, but packages and tools begin there.
func (w *walk) checkRootCopy() {
	last := w.chain[len(w.chain)-1]
	b, err := w.src.fetch(w.ctx, "root.json")
	if err != nil {
		w.unreadable(CodeRootCopy, roleRoot, "root.json", err)
		return
	}
	if _, err := w.src.fetch(w.ctx, rootFile(last.Version)); err != nil {
		return
	}
	if bytes.Equal(b.data, last.raw) {
		return
	}
	d := w.decode("root.json", roleRoot, b.data)
	if d == nil {
		return
	}
	w.errorf(CodeRootCopy, roleRoot, "root.json", "it is version %d and not the same bytes as %s", d.Version, last.file)
}

// checkNextRoot: agents stop at 404 and at nothing else (COMPAT.md 1.5).
func (w *walk) checkNextRoot(v int64) {
	file := rootFile(v)
	b, err := w.src.fetch(w.ctx, file)
	var status *statusError
	switch {
	case errors.Is(err, errMissing) || w.ctx.Err() != nil:
	case errors.As(err, &status):
		w.errorf(CodeNextRoot, roleRoot, file, "the server answers %s where 404 must come: every update fails", status.line)
	case err == nil && codeOf(scanJSON(b.data)) == CodeHTML:
		w.errorf(CodeNextRoot, roleRoot, file, "the server answers 200 and an HTML page where 404 must come: every update fails")
	case err != nil:
		w.unreadable(CodeNextRoot, roleRoot, file, err)
	}
}
