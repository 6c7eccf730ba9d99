package peer

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Target is what the flags of add say.
type Target struct {
	File, Name, Platform, Version string
	Tags                          []string
}

// Paths gives the target path for the version and each tag.
func (t Target) Paths() []string {
	var paths []string
	for _, channel := range append([]string{t.Version}, t.Tags...) {
		paths = append(paths, t.path(channel))
	}
	return paths
}

func (t Target) path(channel string) string {
	base := filepath.Join(t.Name, t.Platform, channel, t.Name)
	if ext, ok := strings.CutPrefix(t.Name, "extensions/"); ok {
		base = filepath.Join(t.Name, t.Platform, channel, ext)
	}
	switch {
	case t.Name == "desktop" && strings.HasPrefix(t.Platform, "windows"):
		return filepath.Join(filepath.Dir(base), "fleet-desktop.exe")
	case t.Name == "desktop" && (t.Platform == "linux" || t.Platform == "linux-arm64"):
		return base + ".tar.gz"
	}
	for _, suffix := range []string{".ext.exe", ".exe", ".app.tar.gz", ".pkg", ".ext"} {
		if strings.HasSuffix(t.File, suffix) {
			return base + suffix
		}
	}
	return base
}

// Add publishes a file under its version and tags.
func Add(dir string, t Target) error {
	repo, err := openRepo(dir)
	if err != nil {
		return err
	}
	if err := checkKeys(dir, "timestamp", "snapshot", "targets"); err != nil {
		return err
	}
	paths := t.Paths()
	for _, path := range paths {
		if err := stage(t.File, filepath.Join(dir, "staged", "targets", path)); err != nil {
			return err
		}
	}
	custom, err := json.Marshal(map[string]string{"version": t.Version})
	if err != nil {
		return err
	}
	return manifests(repo, paths, custom)
}

// stage copies a file over whatever is there, without cutting what is longer.
func stage(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("staging %q: %w", from, err)
	}
	return nil
}
