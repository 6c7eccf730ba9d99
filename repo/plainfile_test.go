package repo_test

import (
	"strings"
	"testing"
)

// TestPlainFileChanged: another spelling of a file that agents read under its number is
// named, and not as what makes them fail, unless the numbered one is gone too.
func TestPlainFileChanged(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := newRepo(t, consistent)
		add(t, base, kr, "one", item("1"))
		for plain, numbered := range map[string]string{"targets.json": "2.targets.json", "snapshot.json": "2.snapshot.json"} {
			for _, gone := range []bool{false, true} {
				r := clone(t, base)
				write(t, r, "repository/"+plain, read(t, r, "repository/"+plain)+"\n")
				if gone && consistent {
					remove(t, r, "repository/"+numbered)
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
