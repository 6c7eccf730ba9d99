package config

import (
	"fmt"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// manifest is a whole release: every target gets the version and every channel.
//
//	version: 1.2.3
//	channels: ["1", "1.2", stable]
//	targets:
//	  - {name: orbit, platform: linux, file: build/orbit-linux}
//
// Files are relative to the manifest. Unknown and repeated fields are errors.
type manifest struct {
	Version  string           `yaml:"version"`
	Channels []string         `yaml:"channels"`
	Targets  []manifestTarget `yaml:"targets"`
}

type manifestTarget struct {
	Name     string `yaml:"name"`
	Platform string `yaml:"platform"`
	File     string `yaml:"file"`
}

// ReadManifest reads a release; what is wrong with it is misuse.
func ReadManifest(file string) ([]meta.Item, error) {
	data, err := ReadBounded(file, MaxSize)
	if err != nil {
		return nil, misuse.Errorf("manifest %q: %w", file, err)
	}
	items, err := parseManifest(data, filepath.Dir(file))
	if err != nil {
		return nil, misuse.Of(&ManifestError{file, err})
	}
	return items, nil
}

// ManifestError: a manifest that is not understood. Exit 2.
type ManifestError struct {
	file string
	err  error
}

func (e *ManifestError) Error() string { return fmt.Sprintf("manifest %q: %v", e.file, e.err) }
func (e *ManifestError) Unwrap() error { return e.err }

func parseManifest(data []byte, dir string) ([]meta.Item, error) {
	var m manifest
	if err := StrictYAML(data, &m); err != nil {
		return nil, err
	}
	if m.Version == "" {
		return nil, fmt.Errorf("version is missing")
	}
	if len(m.Targets) == 0 {
		return nil, fmt.Errorf("targets is missing or empty")
	}
	var items []meta.Item
	seen := map[string]bool{}
	for i, t := range m.Targets {
		for _, f := range []struct{ field, value string }{{"name", t.Name}, {"platform", t.Platform}, {"file", t.File}} {
			if f.value == "" {
				return nil, fmt.Errorf("targets[%d]: %s is missing", i, f.field)
			}
		}
		if seen[t.Name+"\x00"+t.Platform] {
			return nil, fmt.Errorf("targets[%d]: %s for %s is listed twice", i, t.Name, t.Platform)
		}
		seen[t.Name+"\x00"+t.Platform] = true
		path := t.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		items = append(items, meta.Item{Name: t.Name, Platform: t.Platform, Version: m.Version, Channels: m.Channels, File: path})
	}
	return items, nil
}
