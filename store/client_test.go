package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// simpleClient is the part of Fleet's agent (go-tuf v0.5.2) that depends on the order in
// which files appear: the root chain, then timestamp, snapshot, targets, each stored
// as soon as it is read, and a timestamp of the same version ends the update. It
// checks hashes and versions; signatures are the matter of the tests with the real
// client.
type simpleClient struct {
	get      Fetch
	root     metadata
	ts, snap *metadata
	targets  *metadata
}

func newClient(get Fetch, root []byte) (*simpleClient, error) {
	c := &simpleClient{get: get}
	var err error
	c.root, err = parseMetadata(root, roleRoot)
	return c, err
}

// restore puts a client at a state that was published before.
func restore(get Fetch, before map[string][]byte) (*simpleClient, error) {
	c, err := newClient(get, before["root.json"])
	for file, dst := range map[string]**metadata{"timestamp.json": &c.ts, "snapshot.json": &c.snap, "targets.json": &c.targets} {
		meta, perr := parseMetadata(before[file], trimJSON(file))
		err = errors.Join(err, perr)
		*dst = &meta
	}
	return c, err
}

func (c *simpleClient) update(ctx context.Context) error {
	for {
		data, err := c.get(ctx, versioned(c.root.Version+1, "root.json"), tuf.MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		if c.root, err = parseMetadata(data, roleRoot); err != nil {
			return err
		}
	}
	data, err := c.get(ctx, "timestamp.json", tuf.MaxTimestamp)
	if err != nil {
		return err
	}
	ts, err := parseMetadata(data, roleTimestamp)
	if err != nil {
		return err
	}
	if c.ts != nil && ts.Version < c.ts.Version {
		return fmt.Errorf("timestamp went back from %d to %d", c.ts.Version, ts.Version)
	}
	if c.ts != nil && ts.Version == c.ts.Version {
		return nil
	}
	c.ts = &ts // stored before its snapshot is there: the trap
	if c.snap, err = c.named(ctx, "snapshot.json", ts.Meta["snapshot.json"], c.snap); err != nil {
		return err
	}
	c.targets, err = c.named(ctx, "targets.json", c.snap.Meta["targets.json"], c.targets)
	return err
}

func (c *simpleClient) named(ctx context.Context, file string, m tuf.FileMeta, have *metadata) (*metadata, error) {
	if have != nil && have.Version == m.Version {
		return have, nil
	}
	data, err := c.get(ctx, publishedName(c.root.Consistent, file, m.Version), tuf.MaxTargets)
	if err != nil {
		return have, err
	}
	if err := m.Fits(data); err != nil {
		return have, fmt.Errorf("%s version %d: %w", file, m.Version, err)
	}
	meta, err := parseMetadata(data, trimJSON(file))
	if err == nil && (meta.Version != m.Version || have != nil && meta.Version < have.Version) {
		err = fmt.Errorf("%s has version %d, wanted %d", file, meta.Version, m.Version)
	}
	return &meta, err
}

// download fetches all targets.
func (c *simpleClient) download(ctx context.Context) error {
	for target, m := range c.targets.Targets {
		data, err := c.get(ctx, targetNames(c.root.Consistent, target, m)[0], m.Length)
		if err != nil {
			return err
		}
		if err := m.Fits(data); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	return nil
}

// readBackWith is an Options.ReadBack that lets the client above try.
func readBackWith(root []byte) func(context.Context, Fetch, map[string][]byte) error {
	return func(ctx context.Context, get Fetch, before map[string][]byte) error {
		c, err := newClient(get, root)
		if before != nil {
			c, err = restore(get, before)
		}
		if err == nil {
			err = c.update(ctx)
		}
		if err == nil {
			err = c.download(ctx)
		}
		return err
	}
}
