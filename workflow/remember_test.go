package workflow

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// TestWhatACommandHasSeenIsRemembered: another tool has published, a command of ours looked
// and published nothing, and an older copy is put back. The next command says so instead of
// signing the numbers that clients have seen.
func TestWhatACommandHasSeenIsRemembered(t *testing.T) {
	dir := published(t)
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(filepath.Join(dir, "repository"))); err != nil {
		t.Fatal(err)
	}
	w := begun(t, dir, "rotate", "", &someone{})
	if _, err := w.Publish(t.Context(), renewal(t, w), PublishOptions{AllowShorter: true}); err != nil {
		t.Fatal(err)
	}
	w.End()
	// The other tool keeps no history.
	if err := os.Remove(filepath.Join(dir, "pending", "history.json")); err != nil {
		t.Fatal(err)
	}
	begun(t, dir, "add", "", &someone{}).End()
	web := filepath.Join(dir, "repository")
	if err := os.RemoveAll(web); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(web, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	w = command(t, dir, "add", "", &someone{})
	var refused *meta.RefusedError
	if err := w.Open(t.Context()); !errors.As(err, &refused) || refused.Kind != meta.LostRoot {
		w.End()
		t.Errorf("the older copy is built upon: %v", err)
	}
}
