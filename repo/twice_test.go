package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestRootSignedTwice: two folders that were one rotated root, and the files of one lie
// over those of the other. Nobody builds on that, not by giving up either; both roots are
// named, with their signers and where they lie. A folder that never knew the other goes on.
func TestRootSignedTwice(t *testing.T) {
	t.Parallel()
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		twin := repotest.Clone(t, r)
		repotest.Rotate(t, r, kr, meta.RoleRoot)
		ours := repotest.Load(t, r).RootJSON()
		repotest.Rotate(t, twin, kr, meta.RoleRoot)
		served := repotest.CopyWeb(t, twin)
		if err := os.MkdirAll(filepath.Join(r.Dir(), "repository", ".backup"), 0o755); err != nil {
			t.Fatal(err)
		}
		repotest.Write(t, r, "repository/.backup/root.json", string(ours))
		served.Over(t, r)
		for name, try := range writers(t, r, kr) {
			err := try()
			if !repotest.KindIs(meta.RootTwice)(err) {
				t.Errorf("%s: %v", name, err)
			}
			for _, key := range repotest.Load(t, twin).SignedBy(meta.RoleRoot) {
				if err != nil && !strings.Contains(err.Error(), key.ShortID()) {
					t.Errorf("%s does not say who signed it: %v", name, err)
				}
			}
			if err != nil && !strings.Contains(err.Error(), `and it lies in "repository/.backup/root.json"`) {
				t.Errorf("%s does not say where the other one is: %v", name, err)
			}
		}
		for _, giveUp := range []bool{false, true} {
			if _, err := r.Mend(giveUp); !repotest.KindIs(meta.RootTwice)(err) {
				t.Errorf("mend, %v: %v", giveUp, err)
			}
		}
		served.Unchanged(t, r)

		anew := repotest.Clone(t, r)
		if err := os.Remove(filepath.Join(anew.Dir(), "pending", "history.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		repotest.Rotate(t, anew, kr, meta.RoleTargets)
		repotest.Judge(t, anew)
		repotest.Follows(t, anew, served)
	})
}
