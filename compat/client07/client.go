package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/theupdateframework/go-tuf/client"
)

// tufClient is the library's client on a store in one file.
type tufClient struct {
	local  *fileStore
	client *client.Client
}

func open(s setup) (*tufClient, error) {
	local, err := openFileStore(filepath.Join(s.state, "metadata.json"))
	if err != nil {
		return nil, err
	}
	web, err := s.web()
	if err != nil {
		return nil, err
	}
	remote, err := client.HTTPRemoteStore(s.url, nil, web)
	if err != nil {
		return nil, err
	}
	c := &tufClient{local: local, client: client.NewClient(local, remote)}
	if local.meta["root.json"] != nil {
		return c, nil
	}
	root, err := os.ReadFile(s.root)
	if err != nil {
		return nil, fmt.Errorf("the state is empty: %w", err)
	}
	if err := c.client.Init(root); err != nil {
		return nil, fmt.Errorf("pinning root: %w", err)
	}
	return c, nil
}

func (c *tufClient) update() (updated, error) {
	before, err := c.versions()
	if err != nil {
		return updated{}, err
	}
	if _, err := c.client.Update(); err != nil {
		return updated{}, fmt.Errorf("updating metadata: %w", err)
	}
	after, err := c.versions()
	return updated{versions: after, Changed: after != before}, err
}

func (c *tufClient) versions() (versions, error) {
	var v versions
	for name, field := range map[string]*int64{
		"root.json": &v.Root, "targets.json": &v.Targets,
		"snapshot.json": &v.Snapshot, "timestamp.json": &v.Timestamp,
	} {
		var envelope struct {
			Signed struct {
				Version int64 `json:"version"`
			} `json:"signed"`
		}
		if raw, ok := c.local.meta[name]; ok {
			if err := json.Unmarshal(raw, &envelope); err != nil {
				return v, fmt.Errorf("reading stored %q: %w", name, err)
			}
		}
		*field = envelope.Signed.Version
	}
	return v, nil
}

func (c *tufClient) all() (totals, error) {
	var sum totals
	var err error
	if sum.updated, err = c.update(); err != nil {
		return sum, err
	}
	// A lookup is where the library tests snapshot and targets for their expiry.
	if _, err := c.client.Target("no/such/target"); !client.IsNotFound(err) {
		return sum, fmt.Errorf("looking up targets: %w", err)
	}
	targets, err := c.client.Targets()
	if err != nil {
		return sum, err
	}
	sum.Count = len(targets)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if err := c.client.Download(name, discard{io.Discard}); err != nil {
			sum.Failed++
			errs = append(errs, fmt.Errorf("downloading %q: %w", name, err))
			continue
		}
		sum.OK++
		sum.Bytes += targets[name].Length
	}
	return sum, errors.Join(errs...)
}

// discard receives a download whose bytes nobody wants.
type discard struct{ io.Writer }

func (discard) Delete() error { return nil }

// file receives a download and is removed if it fails.
type file struct{ *os.File }

func (f file) Delete() error { return os.Remove(f.Name()) }

func (c *tufClient) download(name, out string) (target, error) {
	meta, err := c.client.Target(name)
	if err != nil {
		return target{}, fmt.Errorf("looking up %q: %w", name, err)
	}
	var dst client.Destination = discard{io.Discard}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return target{}, err
		}
		defer f.Close()
		dst = file{f}
	}
	if err := c.client.Download(name, dst); err != nil {
		return target{}, fmt.Errorf("downloading %q: %w", name, err)
	}
	return target{name, meta.Length}, nil
}
