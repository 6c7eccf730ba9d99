package repo_test

import (
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestMendColdRole: an older file of a cold role was put back. With consistent snapshots the
// numbered one takes its place; in the flat layout it has to be brought back, and no
// command says that nothing is wrong.
func TestMendColdRole(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 6)
		d.Archive(t, repotest.Keep(3))
		const file = "repository/archive-orbit-linux.json"
		older := repotest.Read(t, d.Repo, file)
		d.Archive(t, repotest.Keep(1))
		newest := repotest.Read(t, d.Repo, file)
		repotest.Write(t, d.Repo, file, older)
		m, err := d.Mend(false)
		if consistent {
			if err != nil || len(m.Done) != 1 || !strings.Contains(m.Done[0], "archive-orbit-linux.json is version") {
				t.Errorf("%v, %v", m.Done, err)
			}
		} else {
			repotest.RefusedAs(t, err, meta.LostVersions)
			if err != nil && !strings.Contains(err.Error(), file) {
				t.Errorf("it names another file: %v", err)
			}
			repotest.Write(t, d.Repo, file, newest)
			if m, err := d.Mend(false); err != nil || len(m.Done) > 0 {
				t.Errorf("%v, %v", m.Done, err)
			}
		}
		if now := repotest.Read(t, d.Repo, file); now != newest {
			t.Errorf("%d bytes, and the newest has %d", len(now), len(newest))
		}
		repotest.Judge(t, d.Repo)
	})
}
