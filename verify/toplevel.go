package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (w *walk) roleOf(name string) *roleKeys { return w.trusted.root.Roles[name] }

func (w *walk) ring() keyring { return w.rings[w.trusted.Version] }

// verifyRole checks a document's signatures under the trusted root and reports it.
func (w *walk) verifyRole(d *document) {
	signed, _ := w.checkSignatures(d, w.ring(), d.role, w.roleOf(d.role), CodeThreshold)
	w.addRole(d, w.roleOf(d.role), signed)
}

func (w *walk) readTimestamp() {
	d := w.read("timestamp.json", roleTimestamp)
	if d == nil {
		return
	}
	if len(d.raw) > maxTimestamp {
		w.errorf(CodeTooLarge, roleTimestamp, d.file, "%d bytes; agents read %d", len(d.raw), maxTimestamp)
	}
	w.timestamp = d
	w.verifyRole(d)
}

// versioned is the name clients ask for in the layout that root says.
func (w *walk) versioned(name string, version int64) string {
	if !w.trusted.root.ConsistentSnapshot || version < 1 {
		return name
	}
	return fmt.Sprintf("%d.%s", version, name)
}

func (w *walk) readSnapshot() {
	named, file := w.named(w.timestamp, "snapshot.json")
	d := w.read(file, roleSnapshot)
	if d == nil && file != "snapshot.json" {
		// Clients stop here; the copy still tells something.
		d = w.read("snapshot.json", roleSnapshot)
	}
	if d == nil {
		return
	}
	w.snapshot = d
	w.verifyRole(d)
	w.checkNamed(w.timestamp, "snapshot.json", d, named)
	w.checkCopy(d, "snapshot.json")
	w.checkTimestampMeta()
}

// checkTimestampMeta: a timestamp names the snapshot and nothing else.
func (w *walk) checkTimestampMeta() {
	if w.timestamp == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.timestamp.meta)) {
		if name != "snapshot.json" {
			w.warnf(CodeMetaMissing, roleTimestamp, w.timestamp.file, "it also names %.60q, which no client reads there", name)
		}
	}
}

// named is what above says of a file below it, and the name to fetch it by.
func (w *walk) named(above *document, name string) (*metaFile, string) {
	if above == nil {
		return nil, name
	}
	m, ok := above.meta[name]
	if !ok {
		w.errorf(CodeMetaMissing, above.role, above.file, "it does not name %q", name)
		return nil, name
	}
	if m.Version < 1 {
		w.errorf(CodeMetaVersion, above.role, above.file, "it names %q version %d", name, m.Version)
	}
	w.checkHashes(above, name, m.Hashes)
	if m.Hashes["sha512"] == "" {
		w.warnf(CodeSHA512, above.role, above.file, "no sha512 for %q: only the version ties it to this file", name)
	}
	if m.Length < 0 {
		w.errorf(CodeMetaLength, above.role, above.file, "it names %q with length %d", name, m.Length)
	}
	return &m, w.versioned(name, m.Version)
}

// checkHashes looks at the form of hashes: go-tuf v0.5.2 fails on an algorithm it
// does not know.
func (w *walk) checkHashes(d *document, name string, hashes map[string]string) {
	sizes := map[string]int{"sha512": sha512.Size, "sha256": sha256.Size}
	for _, algorithm := range slices.Sorted(maps.Keys(hashes)) {
		size, ok := sizes[algorithm]
		if !ok {
			w.errorf(CodeHashForm, d.role, d.file, "%q has a hash of algorithm %.20q; agents know sha512 and sha256", name, algorithm)
			continue
		}
		if raw, err := hex.DecodeString(hashes[algorithm]); err != nil || len(raw) != size {
			w.errorf(CodeHashForm, d.role, d.file, "%q: its %s is not %d hex digits", name, algorithm, 2*size)
		}
	}
}

// checkNamed compares a file with what the file above says of it.
func (w *walk) checkNamed(above *document, name string, d *document, m *metaFile) {
	if m == nil {
		return
	}
	if m.Version != d.Version {
		w.errorf(CodeMetaVersion, d.role, d.file, "it is version %d, and %q names version %d", d.Version, above.file, m.Version)
	}
	if m.Length != 0 && m.Length != int64(len(d.raw)) {
		w.errorf(CodeMetaLength, d.role, d.file, "it has %d bytes, and %q names %d", len(d.raw), above.file, m.Length)
	}
	if b, err := w.src.fetch(w.ctx, d.file); err == nil && m.Length != 0 && b.announced >= 0 && b.announced != m.Length {
		w.errorf(CodeContentLength, d.role, d.file, "the server announces %d bytes, and %q names %d: agents refuse", b.announced, above.file, m.Length)
	}
	if limit := newerLimit(d.role); m.Length == 0 && len(d.raw) > limit {
		w.warnf(CodeClientLimit, d.role, d.file, "%d bytes, and %q names no length: newer clients read %d", len(d.raw), above.file, limit)
	}
	for algorithm, sum := range m.Hashes {
		if got := sumOf(algorithm, d.raw); got != "" && got != strings.ToLower(sum) {
			w.errorf(CodeMetaHash, d.role, d.file, "its %s is %.16s.., and %q names %.16s..", algorithm, got, above.file, sum)
		}
	}
}

// newerLimit is what go-tuf v2 reads of a file without a recorded length.
func newerLimit(role string) int {
	if role == roleSnapshot {
		return 2000000
	}
	return 5000000
}

func sumOf(algorithm string, data []byte) string {
	switch algorithm {
	case "sha512":
		sum := sha512.Sum512(data)
		return hex.EncodeToString(sum[:])
	case "sha256":
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	return ""
}

// checkCopy: with consistent snapshots, tools still read the unversioned names.
func (w *walk) checkCopy(d *document, name string) {
	if d.file == name {
		return
	}
	b, err := w.src.fetch(w.ctx, name)
	if err != nil {
		w.warnf(CodeCopy, d.role, name, "the unversioned copy of %q: %v", d.file, err)
		return
	}
	if !bytes.Equal(b.data, d.raw) {
		w.warnf(CodeCopy, d.role, name, "it is not the same bytes as %q", d.file)
	}
}

// readTargets reads targets and the roles it delegates to, and gives the targets.
func (w *walk) readTargets() []target {
	named, file := w.named(w.snapshot, "targets.json")
	d := w.read(file, roleTargets)
	if d == nil && file != "targets.json" {
		d = w.read("targets.json", roleTargets)
	}
	if d == nil {
		return nil
	}
	w.verifyRole(d)
	w.checkNamed(w.snapshot, "targets.json", d, named)
	w.checkCopy(d, "targets.json")
	all := w.collect(d)
	return append(all, w.readDelegated(d)...)
}
