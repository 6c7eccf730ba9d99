package verify

import (
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// maxName is the longest last path element whose hash-named file (128 hex digits, a
// dot, the name) still fits in 255 bytes.
const maxName = 126

// target is a path that metadata names.
type target struct {
	path   string
	role   string
	length int64
	sha512 string // hex, lower case; empty if absent or malformed
	sha256 string
}

// collect checks what a targets file says of each target and gives those that can
// be looked for.
func (w *walk) collect(d *document) []target {
	var all []target
	for _, name := range slices.Sorted(maps.Keys(d.targets.Targets)) {
		w.report.Targets++
		f := d.targets.Targets[name]
		if f == nil {
			w.errorf(CodeMalformed, d.role, d.file, "target %q is null", name)
			continue
		}
		w.checkTargetEntry(d, name, f)
		if fault := pathFault(name); fault != "" {
			w.errorf(CodeTargetPath, d.role, d.file, "target %q %s", name, fault)
			continue
		}
		all = append(all, target{
			path: name, role: d.role, length: f.Length,
			sha512: hexOf(f.Hashes["sha512"], 128), sha256: hexOf(f.Hashes["sha256"], 64),
		})
	}
	return all
}

func (w *walk) checkTargetEntry(d *document, name string, f *targetFile) {
	if f.Hashes["sha512"] == "" {
		w.errorf(CodeSHA512, d.role, d.file, "target %q has no sha512: Fleet's tuf-status fails on it, and its hash-named file is not the one agents ask for first", name)
	}
	w.checkHashes(d, name, f.Hashes)
	if f.Length < 0 {
		w.errorf(CodeTargetLength, d.role, d.file, "target %q has length %d", name, f.Length)
	}
	if f.Length == 0 {
		w.warnf(CodeTargetEmpty, d.role, d.file, "target %q has 0 bytes", name)
	}
	w.checkCustom(d, name, f.Custom)
	w.checkParts(d, name)
}

// checkCustom: Fleet's migrate and tuf-status fail without custom.version
// (COMPAT.md 1.2).
func (w *walk) checkCustom(d *document, name string, custom json.RawMessage) {
	var fields map[string]json.RawMessage
	var version string
	if json.Unmarshal(custom, &fields) != nil || json.Unmarshal(fields["version"], &version) != nil || version == "" {
		w.errorf(CodeTargetVersion, d.role, d.file, "target %q has no custom {\"version\": \"...\"}: Fleet's tools fail on it", name)
		return
	}
	if len(fields) > 1 {
		w.warnf(CodeTargetVersion, d.role, d.file, "target %q has more in custom than its version", name)
	}
}

func (w *walk) checkParts(d *document, name string) {
	parts := strings.Split(name, "/")
	want := 4
	if parts[0] == "extensions" {
		want = 5
	}
	if len(parts) != want {
		w.warnf(CodeTargetParts, d.role, d.file, "target %q has %d parts, not %d: no agent asks for it, and Fleet's tools fail on it", name, len(parts), want)
	}
	if last := parts[len(parts)-1]; len(last) > maxName {
		w.nameTooLong(d, name, len(last))
	}
}

func (w *walk) nameTooLong(d *document, name string, n int) {
	if w.trusted.root.ConsistentSnapshot {
		w.errorf(CodeTargetName, d.role, d.file, "target %.60q..: its last element has %d bytes, more than %d", name, n, maxName)
		return
	}
	w.warnf(CodeTargetName, d.role, d.file, "target %.60q..: its last element has %d bytes; with consistent snapshots it may have %d", name, n, maxName)
}

// pathFault says why a path must not be joined to a folder or a URL.
func pathFault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.HasPrefix(name, "/"):
		return "begins with a slash"
	case strings.Contains(name, "\\"):
		return "has a backslash"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has a control character"
	case strings.ContainsAny(name, "?#%"):
		return "has a character that agents do not escape in a URL"
	case path.Clean(name) != name || name == "." || strings.HasPrefix(name, "../") || name == "..":
		return "has empty, . or .. elements"
	}
	for _, part := range strings.Split(name, "/") {
		if len(part) > 255 {
			return "has an element over 255 bytes"
		}
	}
	return ""
}

func hexOf(s string, digits int) string {
	s = strings.ToLower(s)
	if len(s) != digits || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// stored is a name below targets/ under which a target is served.
type stored struct {
	target
	file string // from the web root
	// preferred is the name that deployed agents ask for; another form missing is
	// not fatal to them.
	preferred bool
}

// names gives the files that hold a target in the layout that root says.
func (w *walk) names(t target) []stored {
	if !w.trusted.root.ConsistentSnapshot {
		return []stored{{t, "targets/" + t.path, true}}
	}
	dir, last := path.Split(t.path)
	var all []stored
	for _, sum := range []string{t.sha512, t.sha256} {
		if sum != "" && len(last)+1+len(sum) <= 255 {
			all = append(all, stored{t, "targets/" + dir + sum + "." + last, len(all) == 0})
		}
	}
	return all
}

// checkTargets looks for every target, and hashes it if asked to.
func (w *walk) checkTargets(targets []target) {
	var files []stored
	for _, t := range targets {
		files = append(files, w.names(t)...)
	}
	if w.o.AllTargets && !w.local {
		w.hash(wholeJobs(files)) // one GET tells everything
		return
	}
	found := w.stat(files)
	if w.o.AllTargets {
		w.hash(linkedJobs(found))
	}
}

// present is a stored file that is there with the right size.
type present struct {
	stored
	id string
}

type statResult struct {
	size int64
	id   string
	err  error
}

// stat asks for every file, several at a time, and reports in order.
func (w *walk) stat(files []stored) []present {
	results := make([]statResult, len(files))
	var group sync.WaitGroup
	next := make(chan int)
	for range max(8, w.o.Workers) {
		group.Go(func() {
			for i := range next {
				results[i] = w.statOne(files[i])
			}
		})
	}
	for i := range files {
		if w.ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	if w.ctx.Err() != nil {
		return nil
	}
	var found []present
	for i, f := range files {
		r := results[i]
		if w.checkPresent(f, r.size, r.err) {
			found = append(found, present{f, r.id})
		}
	}
	return found
}

func (w *walk) statOne(f stored) statResult {
	size, id, err := w.src.stat(w.ctx, f.file)
	if err != nil || size == f.length || id != "" {
		return statResult{size, id, err}
	}
	// An answer to HEAD is not evidence; the stream's own length is.
	c, err := w.src.open(w.ctx, f.file)
	if err != nil {
		return statResult{0, "", err}
	}
	c.Close()
	return statResult{c.size, "", nil}
}

// checkPresent reports a file that is not there or has another size (-1: unknown).
func (w *walk) checkPresent(f stored, size int64, err error) bool {
	if errors.Is(err, errMissing) && !f.preferred {
		w.warnf(CodeTargetHashName, f.role, f.file, "it is not there; clients that ask for this form first fail")
		return false
	}
	if err != nil {
		w.unreadable(CodeTargetMissing, f.role, f.file, err)
		return false
	}
	if size < 0 || size == f.length {
		return true
	}
	if !w.local {
		w.errorf(CodeContentLength, f.role, f.file, "the server announces %d bytes, and metadata says %d: agents refuse", size, f.length)
		return false
	}
	w.errorf(CodeTargetLength, f.role, f.file, "it has %d bytes, and metadata says %d", size, f.length)
	return false
}
