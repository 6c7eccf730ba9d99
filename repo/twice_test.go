package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// TestRootSignedTwice: two folders that were one rotated root, and the files of one lie
// over those of the other. Nobody builds on that, not by giving up either; both roots are
// named, with their signers and where they lie. A folder that never knew the other goes on.
func TestRootSignedTwice(t *testing.T) {
	t.Parallel()
	forLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := newRepo(t, consistent)
		add(t, r, kr, "one", item("1"))
		twin := clone(t, r)
		rotate(t, r, kr, meta.RoleRoot)
		ours := load(t, r).RootJSON()
		rotate(t, twin, kr, meta.RoleRoot)
		served := copyWeb(t, twin)
		if err := os.MkdirAll(filepath.Join(r.Dir(), "repository", ".backup"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, r, "repository/.backup/root.json", string(ours))
		served.over(t, r)
		for name, try := range writers(t, r, kr) {
			err := try()
			if !kindIs(meta.RootTwice)(err) {
				t.Errorf("%s: %v", name, err)
			}
			for _, key := range load(t, twin).SignedBy(meta.RoleRoot) {
				if err != nil && !strings.Contains(err.Error(), key.ShortID()) {
					t.Errorf("%s does not say who signed it: %v", name, err)
				}
			}
			if err != nil && !strings.Contains(err.Error(), `and it lies in "repository/.backup/root.json"`) {
				t.Errorf("%s does not say where the other one is: %v", name, err)
			}
		}
		for _, giveUp := range []bool{false, true} {
			if _, err := r.Mend(giveUp); !kindIs(meta.RootTwice)(err) {
				t.Errorf("mend, %v: %v", giveUp, err)
			}
		}
		served.unchanged(t, r)

		anew := clone(t, r)
		if err := os.Remove(filepath.Join(anew.Dir(), "pending", "history.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		rotate(t, anew, kr, meta.RoleTargets)
		judge(t, anew)
		follows(t, anew, served)
	})
}
