package repo_test

import (
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestPlainFileChanged: another spelling of a file that agents read under its number is
// named, and not as what makes them fail, unless the numbered one is gone too.
func TestPlainFileChanged(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		repotest.Add(t, base, kr, "one", repotest.Item("1"))
		for plain, numbered := range map[string]string{"targets.json": "2.targets.json", "snapshot.json": "2.snapshot.json"} {
			for _, gone := range []bool{false, true} {
				r := repotest.Clone(t, base)
				repotest.Write(t, r, "repository/"+plain, repotest.Read(t, r, "repository/"+plain)+"\n")
				if gone && consistent {
					repotest.Remove(t, r, "repository/"+numbered)
				}
				p, err := r.Load()
				if err != nil {
					t.Fatal(err)
				}
				said := strings.Join(p.Warnings, "\n")
				if goOn := consistent && !gone; strings.Contains(said, "clients fail") == goOn || strings.Contains(said, "clients read repository/"+numbered) != goOn {
					t.Errorf("%s, without its number %v: %q", plain, gone, said)
				}
			}
		}
	})
}
