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

	"github.com/fleet-hsm/fleet-hsm/compat/judge"
)

// tufClient is the library's client on a store in one file.
type tufClient struct {
	local  *fileStore
	client *client.Client
}

func open(s judge.Setup) (judge.Client, error) {
	local, err := openFileStore(filepath.Join(s.State, "metadata.json"))
	if err != nil {
		return nil, err
	}
	web, err := s.Web()
	if err != nil {
		return nil, err
	}
	remote, err := client.HTTPRemoteStore(s.URL, nil, web)
	if err != nil {
		return nil, err
	}
	c := &tufClient{local: local, client: client.NewClient(local, remote)}
	if local.meta["root.json"] != nil {
		return c, nil
	}
	root, err := os.ReadFile(s.Root)
	if err != nil {
		return nil, fmt.Errorf("the state is empty: %w", err)
	}
	if err := c.client.Init(root); err != nil {
		return nil, fmt.Errorf("pinning root: %w", err)
	}
	return c, nil
}

func (c *tufClient) Update() (judge.Updated, error) {
	before, err := c.versions()
	if err != nil {
		return judge.Updated{}, err
	}
	if _, err := c.client.Update(); err != nil {
		return judge.Updated{}, fmt.Errorf("updating metadata: %w", err)
	}
	after, err := c.versions()
	return judge.Updated{Versions: after, Changed: after != before}, err
}

func (c *tufClient) versions() (judge.Versions, error) {
	var v judge.Versions
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

func (c *tufClient) All(names []string) (judge.Totals, error) {
	var sum judge.Totals
	var err error
	if sum.Updated, err = c.Update(); err != nil {
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
	return sum, errors.Join(append(errs, c.also(names, &sum))...)
}

// also checks targets that may lie in other roles.
func (c *tufClient) also(names []string, sum *judge.Totals) error {
	var errs []error
	for _, name := range names {
		sum.Count++
		t, err := c.Download(name, "")
		if err != nil {
			sum.Failed++
			errs = append(errs, err)
			continue
		}
		sum.OK++
		sum.Bytes += t.Length
	}
	return errors.Join(errs...)
}

// discard receives a download whose bytes nobody wants.
type discard struct{ io.Writer }

func (discard) Delete() error { return nil }

// file receives a download and is removed if it fails.
type file struct{ *os.File }

func (f file) Delete() error { return os.Remove(f.Name()) }

func (c *tufClient) Download(name, out string) (judge.Target, error) {
	meta, err := c.client.Target(name)
	if err != nil {
		return judge.Target{}, fmt.Errorf("looking up %q: %w", name, err)
	}
	var dst client.Destination = discard{io.Discard}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return judge.Target{}, err
		}
		defer f.Close()
		dst = file{f}
	}
	if err := c.client.Download(name, dst); err != nil {
		return judge.Target{}, fmt.Errorf("downloading %q: %w", name, err)
	}
	return judge.Target{Name: name, Length: meta.Length}, nil
}
