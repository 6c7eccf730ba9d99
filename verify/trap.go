package verify

import "time"

// checkTrap looks for COMPAT.md 5.4's rotation trap: a root takes keys from targets
// or snapshot, running agents then drop what they have, and a timestamp of the same
// version gives them nothing back. From one state of a repository it shows in
// versions and, with less certainty, in times.
func (w *walk) checkTrap() {
	if w.timestamp == nil {
		return
	}
	taking := 0
	var last *document
	for i := 1; i < len(w.chain); i++ {
		if w.takesKeys(w.chain[i-1], w.chain[i]) {
			taking++
			last = w.chain[i]
		}
	}
	if taking == 0 {
		return
	}
	const cure = "agents that saw the version before lose their snapshot until the timestamp rises"
	if w.timestamp.Version < int64(taking)+1 {
		w.errorf(CodeRotationTrap, roleTimestamp, w.timestamp.file, "version %d, though %d roots (the last is %q) took keys from targets or snapshot, and each needs a higher timestamp: %s", w.timestamp.Version, taking, last.file, cure)
		return
	}
	if w.snapshot != nil && w.timestamp.Version < w.snapshot.Version {
		w.warnf(CodeRotationTrap, roleTimestamp, w.timestamp.file, "version %d is below the snapshot's %d, and %q took keys from targets or snapshot: if the timestamp did not rise with it, %s", w.timestamp.Version, w.snapshot.Version, last.file, cure)
		return
	}
	w.checkTrapTimes(last, cure)
}

// takesKeys reports whether agents that follow from one root to the next drop their
// snapshot or targets: at least a threshold of a role's old keys is gone.
func (w *walk) takesKeys(before, after *document) bool {
	for _, name := range []string{roleTargets, roleSnapshot} {
		old, now := before.root.Roles[name], after.root.Roles[name]
		if old == nil || now == nil {
			continue
		}
		kept := map[string]bool{}
		for _, id := range now.KeyIDs {
			kept[id] = true
		}
		gone := 0
		for _, id := range old.KeyIDs {
			if !kept[id] {
				gone++
			}
		}
		if gone > 0 && gone >= old.Threshold {
			return true
		}
	}
	return false
}

// checkTrapTimes: a timestamp file much older than the root that took the keys was
// not renewed after it. Files copied in one go have close times, hence the hour.
func (w *walk) checkTrapTimes(last *document, cure string) {
	if last != w.trusted {
		return
	}
	root, stamp := w.modified[last.file], w.modified[w.timestamp.file]
	if root.IsZero() || stamp.IsZero() || root.Sub(stamp) < time.Hour {
		return
	}
	w.warnf(CodeRotationTrap, roleTimestamp, w.timestamp.file, "it was written %s before %q, which took keys from targets or snapshot: if it did not rise with it, %s", root.Sub(stamp).Round(time.Minute), last.file, cure)
}
