package edit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// kindIs tells a refusal of a kind.
func kindIs(kind meta.RefusedKind) func(error) bool {
	return func(err error) bool {
		var refused *meta.RefusedError
		return errors.As(err, &refused) && refused.Kind == kind
	}
}

// TestVersionsAreNotReplaced: a published version keeps its bytes unless somebody says so;
// channels move freely.
func TestVersionsAreNotReplaced(t *testing.T) {
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	p := repotest.Load(t, r)
	for name, c := range map[string]struct {
		bytes   string
		it      meta.Item
		replace bool
		taken   bool
	}{
		"the same bytes":              {"one", repotest.Item("1"), false, false},
		"other bytes":                 {"two", repotest.Item("1"), false, true},
		"other bytes, and replace":    {"two", repotest.Item("1"), true, false},
		"as many other bytes":         {"eno", repotest.Item("1"), false, true},
		"another version":             {"two", repotest.Item("2"), false, false},
		"another platform":            {"two", meta.Item{Name: "orbit", Platform: "macos", Version: "1"}, false, false},
		"another version to a taken ": {"two", meta.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"stable", "2"}}, false, false},
	} {
		file := filepath.Join(repotest.Folder(t), "f")
		if err := os.WriteFile(file, []byte(c.bytes), 0o600); err != nil {
			t.Fatal(err)
		}
		content, err := r.Stage(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.it.File = file
		_, err = edit.Add(r, p, nil, []edit.StagedItem{{Item: c.it, Content: content}}, repo.StageOptions{Replace: c.replace})
		if kindIs(meta.VersionTaken)(err) != c.taken || !c.taken && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
