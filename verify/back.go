package verify

import (
	"os"
	"strconv"
	"strings"
)

// checkWentBack looks in a folder for an N.snapshot.json or N.targets.json that is newer
// than its plain copy. A release that waits for its timestamp has both; an older copy of
// the folder, laid over a newer one, has the number alone. Agents that were shown it
// refuse what is older.
func (w *walk) checkWentBack() {
	var f *folder
	ok := false
	if c, cached := w.src.(*cache); cached {
		f, ok = c.source.(*folder)
	}
	if !ok || w.trusted == nil || !w.trusted.root.ConsistentSnapshot {
		return
	}
	for _, role := range []string{roleSnapshot, roleTargets} {
		newest := f.newest(role + ".json")
		if newest == 0 {
			continue
		}
		name := strconv.FormatInt(newest, 10) + "." + role + ".json"
		d := w.peek(name, role)
		plain := w.peek(role+".json", role)
		if d == nil || d.Version != newest || plain == nil || plain.Version >= newest {
			continue
		}
		w.warnf(CodeWentBack, role, name, "version %d lies here, and %q is version %d: was an older copy put over this folder?", newest, role+".json", plain.Version)
	}
}

// peek decodes a file, nil if it cannot be.
func (w *walk) peek(name, role string) *document {
	b, err := w.src.fetch(w.ctx, name)
	if err != nil {
		return nil
	}
	d, err := decode(name, role, b.data)
	if err != nil {
		return nil
	}
	return d
}

// newest is the highest N of which N.NAME is in the folder, or 0.
func (f *folder) newest(name string) int64 {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return 0
	}
	var highest int64
	for _, e := range entries {
		n, ok := strings.CutSuffix(e.Name(), "."+name)
		v, err := strconv.ParseInt(n, 10, 64)
		if ok && err == nil && strconv.FormatInt(v, 10) == n {
			highest = max(highest, v)
		}
	}
	return highest
}
