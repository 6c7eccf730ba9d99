package osfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestLock: one holder at a time, others read meanwhile, closing gives it back.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	if err := Lock(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := first.WriteString("holder"); err != nil {
		t.Fatal(err)
	}
	if taken, err := TryLock(second); taken || err != nil {
		t.Errorf("taken twice: %v, %v", taken, err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "holder" {
		t.Errorf("read meanwhile: %q, %v", data, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if err := Lock(soon, second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for it: %v", err)
	}
	_ = first.Close()
	if taken, err := TryLock(second); !taken || err != nil {
		t.Errorf("after it was given back: %v, %v", taken, err)
	}
}

// TestIdentify: a hard link and a symbolic link are the file, a copy is not, a folder has
// an identity too.
func TestIdentify(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "copy"} {
		if err := os.WriteFile(at(name), []byte("same"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Link(at("a"), at("hard")), os.Symlink("a", at("soft")), os.Mkdir(at("folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	a, err := Identify(at("a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"hard": true, "soft": true, "copy": false, "folder": false} {
		if id, err := Identify(at(name)); err != nil || (id == a) != want {
			t.Errorf("%s: %v beside %v, %v", name, id, a, err)
		}
	}
	if _, err := Identify(at("none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestCheckWritable(t *testing.T) {
	dir := t.TempDir()
	if err := CheckWritable(dir); err != nil {
		t.Error(err)
	}
	if err := CheckWritable(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSameMount(t *testing.T) {
	dir := t.TempDir()
	if !SameMount(dir, filepath.Dir(dir)) {
		t.Error("a folder and the one above it")
	}
}
