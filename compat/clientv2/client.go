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
)

// tufClient is the library's updater with its cache in the state folder.
type tufClient struct {
	updater *updater.Updater
	before  versions
	dir     string
}

func open(s setup) (*tufClient, error) {
	dir := filepath.Join(s.state, "metadata")
	root, err := os.ReadFile(filepath.Join(dir, "root.json"))
	if errors.Is(err, fs.ErrNotExist) {
		root, err = os.ReadFile(s.root)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w", err)
	}
	cfg, err := config.New(s.url, root)
	if err != nil {
		return nil, err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = dir, filepath.Join(s.state, "targets")
	web, err := s.web()
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
func stored(dir string) versions {
	var v versions
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

func (c *tufClient) update() (updated, error) {
	if err := c.updater.Refresh(); err != nil {
		return updated{}, fmt.Errorf("updating metadata: %w", err)
	}
	after := stored(c.dir)
	return updated{versions: after, Changed: after != c.before}, nil
}

func (c *tufClient) all() (totals, error) {
	var sum totals
	var err error
	if sum.updated, err = c.update(); err != nil {
		return sum, err
	}
	targets := c.updater.GetTopLevelTargets()
	sum.Count = len(targets)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if _, err := c.download(name, ""); err != nil {
			sum.Failed++
			errs = append(errs, err)
			continue
		}
		sum.OK++
		sum.Bytes += targets[name].Length
	}
	return sum, errors.Join(errs...)
}

// download fetches past the library's cache of targets. A fresh client refreshes the
// metadata first, as the library does by itself.
func (c *tufClient) download(name, out string) (target, error) {
	info, err := c.updater.GetTargetInfo(name)
	if err != nil {
		return target{}, fmt.Errorf("looking up %q: %w", name, err)
	}
	if out == "" {
		out = os.DevNull
	}
	if _, _, err := c.updater.DownloadTarget(info, out, ""); err != nil {
		return target{}, fmt.Errorf("downloading %q: %w", name, err)
	}
	return target{name, info.Length}, nil
}
