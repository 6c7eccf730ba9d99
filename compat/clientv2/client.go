package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/fleet-hsm/fleet-hsm/compat/judge"
)

// tufClient is the library's updater with its cache in the state folder.
type tufClient struct {
	updater *updater.Updater
	before  judge.Versions
	dir     string
}

func open(s judge.Setup) (judge.Client, error) {
	dir := filepath.Join(s.State, "metadata")
	root, err := os.ReadFile(filepath.Join(dir, "root.json"))
	if errors.Is(err, fs.ErrNotExist) {
		root, err = os.ReadFile(s.Root)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w", err)
	}
	cfg, err := config.New(s.URL, root)
	if err != nil {
		return nil, err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = dir, filepath.Join(s.State, "targets")
	web, err := s.Web()
	if err != nil {
		return nil, err
	}
	if err := cfg.SetDefaultFetcherHTTPClient(web); err != nil {
		return nil, err
	}
	c := &tufClient{dir: dir, before: stored(dir)}
	if c.updater, err = updater.New(cfg); err != nil {
		return nil, fmt.Errorf("pinning root: %w", err)
	}
	return c, nil
}

// stored gives the versions in the cache; 0 where nothing readable is there.
func stored(dir string) judge.Versions {
	var v judge.Versions
	file := func(role string) string { return filepath.Join(dir, role+".json") }
	if m, err := metadata.Root().FromFile(file("root")); err == nil {
		v.Root = m.Signed.Version
	}
	if m, err := metadata.Targets().FromFile(file("targets")); err == nil {
		v.Targets = m.Signed.Version
	}
	if m, err := metadata.Snapshot().FromFile(file("snapshot")); err == nil {
		v.Snapshot = m.Signed.Version
	}
	if m, err := metadata.Timestamp().FromFile(file("timestamp")); err == nil {
		v.Timestamp = m.Signed.Version
	}
	return v
}

func (c *tufClient) Update() (judge.Updated, error) {
	if err := c.updater.Refresh(); err != nil {
		return judge.Updated{}, fmt.Errorf("updating metadata: %w", err)
	}
	after := stored(c.dir)
	return judge.Updated{Versions: after, Changed: after != c.before}, nil
}

func (c *tufClient) All(names []string) (judge.Totals, error) {
	var sum judge.Totals
	var err error
	if sum.Updated, err = c.Update(); err != nil {
		return sum, err
	}
	targets := c.updater.GetTopLevelTargets()
	names = append(slices.Sorted(maps.Keys(targets)), names...) // those may lie in other roles
	sum.Count = len(names)
	var errs []error
	for _, name := range names {
		t, err := c.Download(name, "")
		if err != nil {
			sum.Failed++
			errs = append(errs, err)
			continue
		}
		sum.OK++
		sum.Bytes += t.Length
	}
	return sum, errors.Join(errs...)
}

// Download fetches past the library's cache of targets. A fresh client refreshes the
// metadata first, as the library does by itself.
func (c *tufClient) Download(name, out string) (judge.Target, error) {
	info, err := c.updater.GetTargetInfo(name)
	if err != nil {
		return judge.Target{}, fmt.Errorf("looking up %q: %w", name, err)
	}
	if out == "" {
		out = os.DevNull
	}
	if _, _, err := c.updater.DownloadTarget(info, out, ""); err != nil {
		return judge.Target{}, fmt.Errorf("downloading %q: %w", name, err)
	}
	return judge.Target{Name: name, Length: info.Length}, nil
}
