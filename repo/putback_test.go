package repo_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestPutBack: with nothing that remembers, an older file under a newer one is told by what
// the newer one names.
func TestPutBack(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	old := repotest.CopyWeb(t, r)
	repotest.Add(t, r, kr, "two", repotest.Item("2"))
	for _, name := range []string{"snapshot.json", "targets.json"} {
		c := repotest.Clone(t, r)
		repotest.Remove(t, c, "pending/history.json")
		old.Over(t, c, name)
		if _, err := c.Load(); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s was put back: %v", name, err)
		}
	}
	// Both together are the older repository, with a timestamp that names a newer one.
	c := repotest.Clone(t, r)
	repotest.Remove(t, c, "pending/history.json")
	old.Over(t, c, "snapshot.json", "targets.json")
	if err := repotest.TryStamp(c, kr); !errors.Is(err, meta.ErrMetadata) {
		t.Errorf("both were put back: %v", err)
	}
}

// TestTimestampOverWhatFits: a snapshot that the timestamp does not name is covered only if
// its targets are there (COMPAT 5.4: anything else stops every client).
func TestTimestampOverWhatFits(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	old := repotest.CopyWeb(t, r)
	repotest.Add(t, r, kr, "two", repotest.Item("2"))
	c := repotest.Clone(t, r)
	repotest.Remove(t, c, "pending/history.json")
	old.Over(t, c, "timestamp.json") // as if the last rename were missing
	p, err := c.Load()
	if err != nil || len(p.Warnings) != 1 || !p.NeedsTimestamp() || p.NeedsTargets() {
		t.Fatalf("%v, warnings %q", err, p.Warnings)
	}
	if err := repotest.TryStamp(c, kr); err != nil {
		t.Fatal(err)
	}
	repotest.Judge(t, c)
	kr.RewriteTargets(t, c, func(targets map[string]any) { delete(targets, "orbit/linux/1/orbit") })
	old.Over(t, c, "timestamp.json")
	if err := repotest.TryStamp(c, kr); err == nil {
		t.Error("a timestamp over a snapshot that names other targets")
	}
}
