package onefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/onefile"
)

// TestCheck: what is written takes no other name's file; hard links of one content are
// right only where names say the content.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	must(os.MkdirAll(at("web/targets/a"), 0o755))
	must(os.Symlink("a", at("web/targets/b")))
	must(os.WriteFile(at("web/targets/a/f"), []byte("f"), 0o600))
	must(os.Link(at("web/targets/a/f"), at("web/targets/a/g")))
	for name, c := range map[string]struct {
		names, kept []string
		linked, ok  bool
	}{
		"apart":                       {names: []string{"web/targets/a/f", "web/targets/c/f"}, ok: true},
		"through a link":              {names: []string{"web/targets/a/f", "web/targets/b/f"}},
		"case alone":                  {names: []string{"web/targets/c/F", "web/targets/c/f"}},
		"a folder's case, none there": {names: []string{"web/targets/C/f", "web/targets/c/f"}},
		"one that stays, by a link":   {names: []string{"web/targets/a/f"}, kept: []string{"web/targets/b/f"}, linked: true},
		"one that stays, hard link":   {names: []string{"web/targets/a/f"}, kept: []string{"web/targets/a/g"}},
		"the same, where that is so":  {names: []string{"web/targets/a/f"}, kept: []string{"web/targets/a/g"}, linked: true, ok: true},
		"one that stays, not there":   {names: []string{"web/targets/a/f"}, kept: []string{"web/targets/a/h", "web/targets/a/f"}, ok: true},
		"two that only spell alike":   {names: []string{"web/targets/a/f"}, kept: []string{"web/targets/a/F"}, ok: true},
	} {
		err := onefile.Check(dir, "web/targets/", c.names, func() []string { return c.kept }, c.linked)
		var same *onefile.Error
		if c.ok != (err == nil) || err != nil && !errors.As(err, &same) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
