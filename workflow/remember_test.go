package workflow

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// TestWhatIsStagedUponIsRemembered: another tool has published, a command of ours staged
// something on it, and an older copy is put back. The next command says so instead of
// signing the numbers that clients have seen.
func TestWhatIsStagedUponIsRemembered(t *testing.T) {
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
	w = begun(t, dir, "rotate", "", &someone{})
	if err := w.StageOnly(renewal(t, w)); err != nil {
		t.Fatal(err)
	}
	w.End()
	web := filepath.Join(dir, "repository")
	if err := os.RemoveAll(web); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(web, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	w = command(t, dir, "add", "", &someone{})
	if err := w.Repo.Discard(); err != nil { // as the hint says: it was made on what is gone
		t.Fatal(err)
	}
	var refused *meta.RefusedError
	if err := w.Open(t.Context()); !errors.As(err, &refused) || refused.Kind != meta.LostRoot {
		w.End()
		t.Errorf("the older copy is built upon: %v", err)
	}
}
