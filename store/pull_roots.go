package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// anchor is the root from which the walk begins: the one here, or a trusted one of a
// higher version. version 0: there is neither.
func (p *puller) anchor() (version int64, data []byte, err error) {
	mine, data, err := p.localVersion("root.json", roleRoot)
	if err != nil || p.o.Root == nil {
		return mine, data, err
	}
	trusted, err := parseMetadata(p.o.Root, roleRoot)
	if err != nil {
		return 0, nil, p.bad("trusted root", "", err.Error())
	}
	if trusted.Version > mine {
		return trusted.Version, p.o.Root, nil
	}
	return mine, data, nil
}

// linked says why after is neither before itself nor the root that follows it.
func (p *puller) linked(v int64, before, after []byte) error {
	if p.o.Follows == nil || before == nil {
		return nil
	}
	if err := p.o.Follows(before, after); err != nil {
		return p.bad(versioned(v, "root.json"), "", err.Error())
	}
	return nil
}

// fetchRoots reads the chain: from the anchor on, and older ones down as far as the store
// has them. Each root proves itself beside its neighbour before the next one is read: a
// store without root's keys has nothing more to say.
func (p *puller) fetchRoots(ctx context.Context) error {
	at, before, err := p.anchor()
	if err != nil {
		return err
	}
	known := before != nil
	if !known {
		// Nothing here: start where the copy says the newest is.
		meta, _, err := p.parse(ctx, "root.json", roleRoot, tuf.MaxRoot)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		at = max(1, meta.Version)
	}
	top, first, err := p.rootAt(ctx, at)
	if err != nil {
		return err
	}
	if first == nil && known {
		return p.behind(ctx, at)
	}
	if first == nil {
		return &OpError{Op: "reading", Name: versioned(at, "root.json"), Store: p.store.String(), Err: fs.ErrNotExist}
	}
	if err := p.compareRoot(at, first); err != nil {
		return err
	}
	if err := p.linked(at, before, first); err != nil {
		return err
	}
	p.roots = []int64{at}
	if top, err = p.newerRoots(ctx, top, first); err != nil {
		return err
	}
	p.root = top
	p.res.Versions[roleRoot] = top.Version
	return p.olderRoots(ctx, at, first)
}

func (p *puller) newerRoots(ctx context.Context, top metadata, before []byte) (metadata, error) {
	for v := top.Version + 1; ; v++ {
		meta, data, err := p.rootAt(ctx, v)
		if err != nil || data == nil {
			return top, err
		}
		if err := errors.Join(p.linked(v, before, data), p.compareRoot(v, data)); err != nil {
			return top, err
		}
		p.roots = append(p.roots, v)
		top, before = meta, data
	}
}

func (p *puller) olderRoots(ctx context.Context, from int64, after []byte) error {
	defer func() { slices.Sort(p.roots) }()
	for v := from - 1; v > 0; v-- {
		_, data, err := p.rootAt(ctx, v)
		if err != nil || data == nil {
			return err
		}
		if err := errors.Join(p.compareRoot(v, data), p.linked(v, data, after)); err != nil {
			return err
		}
		p.roots = append(p.roots, v)
		after = data
	}
	return nil
}

// behind says how far behind the store's root is.
func (p *puller) behind(ctx context.Context, mine int64) error {
	for v := mine - 1; v > 0; v-- {
		_, data, err := p.rootAt(ctx, v)
		if err != nil {
			return err
		}
		if data != nil {
			return &RollbackError{Role: roleRoot, Local: mine, Remote: v}
		}
	}
	return &RollbackError{Role: roleRoot, Local: mine, Remote: 0}
}

// rootAt reads N.root.json; absent is nil without error.
func (p *puller) rootAt(ctx context.Context, v int64) (metadata, []byte, error) {
	name := versioned(v, "root.json")
	meta, data, err := p.parse(ctx, name, roleRoot, tuf.MaxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return metadata{}, nil, nil
	}
	if err == nil && meta.Version != v {
		err = p.bad(name, "", "its version is "+strconv.FormatInt(meta.Version, 10))
	}
	return meta, data, err
}

// compareRoot refuses a root that is another than the one of its version here.
func (p *puller) compareRoot(v int64, data []byte) error {
	mine, err := p.local.read(versioned(v, "root.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !bytes.Equal(mine, data) {
		err = &DivergedError{Role: roleRoot, Version: v}
	}
	return err
}
