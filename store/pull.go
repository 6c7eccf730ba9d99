package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// PullOptions say what to bring.
type PullOptions struct {
	// Dir is repository/ on this machine; it may be empty. The caller holds its lock.
	Dir string
	// Verify, if not nil, is a client that updates itself with get, from a trusted
	// root. It sees exactly the bytes that are going to be written.
	Verify func(ctx context.Context, get Fetch) error
	// Root is a root.json that is trusted; may be nil if there is one in Dir. Follows says
	// why a root is neither the trusted one itself nor the next one, signed by its keys.
	// nil takes every root: then Verify alone decides, after all have been read.
	Root    []byte
	Follows func(before, after []byte) error
	// Accepts, if not nil, judges each file before what it names is read.
	Accepts Accepts
	// AcceptsCold, if not nil, judges the roles below targets by the targets that names
	// their keys.
	AcceptsCold func(targets []byte, role string, data []byte) error
	// Targets brings the target files too.
	Targets bool
	// Ledger as in Options.
	Ledger   string
	Parallel int
	Progress func(Progress)
}

// PullResult says what came.
type PullResult struct {
	// Files are the names written, in order.
	Files []string `json:"files"`
	Bytes int64    `json:"bytes"`
	// Versions by role, as published.
	Versions map[string]int64 `json:"versions"`
	// GaveWay is the version of a timestamp signed here, higher than the published
	// one and never published, that gave way to it; 0 for none.
	GaveWay int64 `json:"timestamp_gave_way,omitempty"`
}

// puller holds the files of one pull, so that what was verified is what is written.
type puller struct {
	o     PullOptions
	store Store
	mu    sync.Mutex
	cache map[string][]byte // nil: not there
	local *local            // only read and bad are used
	res   PullResult
	// roots are the versions to write, lowest first.
	roots    []int64
	root     metadata
	snapshot metadata
	targets  map[string]tuf.FileMeta
}

// Pull brings the published metadata into Dir, verified, never backwards: a store
// with a lower version of any role is RollbackError, one with other bytes at the same
// version DivergedError. Only a timestamp gives way to the published one, whatever its
// version: two machines sign timestamps, and nothing below it went back.
func Pull(ctx context.Context, s Store, o PullOptions) (PullResult, error) {
	p := &puller{o: o, store: s, cache: map[string][]byte{}, local: &local{dir: o.Dir}, targets: map[string]tuf.FileMeta{}}
	p.res = PullResult{Files: []string{}, Versions: map[string]int64{}}
	for _, step := range []func(context.Context) error{p.fetchRoots, p.fetchRest, p.verify, p.compare, p.bringTargets, p.write} {
		if err := step(ctx); err != nil {
			return p.res, err
		}
	}
	return p.res, nil
}

// get is a Fetch that asks the store once for each name.
func (p *puller) get(ctx context.Context, name string, limit int64) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, known := p.cache[name]
	if !known {
		o, err := getIfThere(ctx, p.store, name, limit)
		if err != nil {
			return nil, err
		}
		if o != nil {
			data = o.Data
		}
		p.cache[name] = data
	}
	if data == nil {
		return nil, &OpError{Op: "reading", Name: name, Store: p.store.String(), Err: fs.ErrNotExist}
	}
	if int64(len(data)) > limit {
		return nil, &OpError{Op: "reading", Name: name, Store: p.store.String(), Err: ErrTooLarge}
	}
	return data, nil
}

func (p *puller) bad(name, by, why string) error {
	return &MismatchError{Where: p.store.String(), Name: name, By: by, Why: why}
}

// parse reads a file and its metadata.
func (p *puller) parse(ctx context.Context, name, role string, limit int64) (metadata, []byte, error) {
	data, err := p.get(ctx, name, limit)
	if err != nil {
		return metadata{}, nil, err
	}
	meta, err := parseMetadata(data, role)
	if err != nil {
		return metadata{}, nil, p.bad(name, "", err.Error())
	}
	return meta, data, nil
}

// localVersion is the version of a file in Dir, 0 if there is none.
func (p *puller) localVersion(file, role string) (int64, []byte, error) {
	data, err := p.local.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	meta, err := parseMetadata(data, role)
	if err != nil {
		return 0, nil, p.local.bad(file, "", err.Error())
	}
	return meta.Version, data, nil
}

// fetchRest reads timestamp, snapshot and what it names, and checks that they fit.
func (p *puller) fetchRest(ctx context.Context) error {
	ts, data, err := p.parse(ctx, "timestamp.json", roleTimestamp, tuf.MaxTimestamp)
	if err == nil {
		err = p.accepted("timestamp.json", roleTimestamp, data)
	}
	if err != nil {
		return err
	}
	p.res.Versions[roleTimestamp] = ts.Version
	if p.snapshot, err = p.fetchNamed(ctx, "snapshot.json", "timestamp.json", ts.Meta["snapshot.json"]); err != nil {
		return err
	}
	for _, file := range sortedKeys(p.snapshot.Meta) {
		if checkName(file) != nil || filepath.Base(file) != file {
			return p.bad("snapshot.json", "", "it names "+strconv.Quote(file))
		}
		meta, err := p.fetchNamed(ctx, file, "snapshot.json", p.snapshot.Meta[file])
		if err != nil {
			return err
		}
		for target, m := range meta.Targets {
			p.targets[target] = m
		}
	}
	return p.acceptedCold()
}

// acceptedCold refuses a role below targets that the keys named for it did not sign.
func (p *puller) acceptedCold() error {
	if p.o.AcceptsCold == nil {
		return nil
	}
	file := func(name string) []byte {
		return p.cache[publishedName(p.root.Consistent, name, p.snapshot.Meta[name].Version)]
	}
	for _, name := range sortedKeys(p.snapshot.Meta) {
		if name == "targets.json" {
			continue
		}
		if err := p.o.AcceptsCold(file("targets.json"), trimJSON(name), file(name)); err != nil {
			return p.bad(name, "targets.json", err.Error())
		}
	}
	return nil
}

func (p *puller) fetchNamed(ctx context.Context, file, by string, m tuf.FileMeta) (metadata, error) {
	name := publishedName(p.root.Consistent, file, m.Version)
	limit := maxSize(m)
	if file == "snapshot.json" {
		limit = min(limit, tuf.MaxSnapshot)
	}
	meta, data, err := p.parse(ctx, name, trimJSON(file), limit)
	if err != nil {
		return metadata{}, err
	}
	if err := m.Fits(data); err != nil {
		return metadata{}, p.bad(name, by, err.Error())
	}
	if meta.Version != m.Version {
		return metadata{}, p.bad(name, by, "its version is "+strconv.FormatInt(meta.Version, 10))
	}
	p.res.Versions[trimJSON(file)] = meta.Version
	return meta, p.accepted(name, trimJSON(file), data)
}

// accepted refuses a file of the top-level roles that the newest root's keys did not sign.
func (p *puller) accepted(name, role string, data []byte) error {
	if p.o.Accepts == nil || role != roleTimestamp && role != roleSnapshot && role != roleTargets {
		return nil
	}
	if err := p.o.Accepts(p.cache[versioned(p.root.Version, "root.json")], role, data); err != nil {
		return p.bad(name, "", err.Error())
	}
	return nil
}

func (p *puller) verify(ctx context.Context) error {
	if p.o.Verify == nil {
		return nil
	}
	return p.o.Verify(ctx, p.get)
}

// compare refuses to go backwards or sideways.
func (p *puller) compare(context.Context) error {
	files := append(sortedKeys(p.snapshot.Meta), "snapshot.json", "timestamp.json")
	for _, file := range files {
		role := trimJSON(file)
		mine, data, err := p.localVersion(file, role)
		if err != nil {
			return err
		}
		theirs := p.res.Versions[role]
		if err := p.plausible(role, mine, theirs); err != nil {
			return err
		}
		name := file
		if role != roleTimestamp {
			name = publishedName(p.root.Consistent, file, theirs)
		}
		switch {
		case role == roleTimestamp:
			// The others come first, so whatever it is over is in the store or newer there.
			if theirs < mine {
				p.res.GaveWay = mine
			}
		case theirs < mine:
			return &RollbackError{Role: role, Local: mine, Remote: theirs}
		case theirs == mine && !bytes.Equal(data, p.cache[name]):
			return &DivergedError{Role: role, Version: mine}
		case name != file:
			// The plain copy may be older than the numbered files that lie here.
			if there, err := p.local.read(name); err == nil && !bytes.Equal(there, p.cache[name]) {
				return &DivergedError{Role: role, Version: theirs}
			}
		}
	}
	return nil
}

// plausible refuses a version that nobody honest has signed. A timestamp comes with each
// snapshot at least, and by another key.
func (p *puller) plausible(role string, mine, theirs int64) error {
	if role == roleTimestamp {
		mine = max(mine, p.res.Versions[roleSnapshot])
	}
	return tuf.CheckVersion(role, mine, theirs)
}

// write puts the metadata in place in the order of a commit, so that a crash leaves
// what the next pull completes.
func (p *puller) write(ctx context.Context) error {
	if err := os.MkdirAll(p.o.Dir, 0o755); err != nil {
		return err
	}
	led, err := openLedger(p.o.Ledger)
	if err != nil {
		return err
	}
	snapName := publishedName(p.root.Consistent, "snapshot.json", p.snapshot.Version)
	if err := led.record(p.snapshot.Version, p.cache[snapName]); err != nil {
		return err
	}
	for _, f := range p.order() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.writeFile(f.to, p.cache[f.from]); err != nil {
			return err
		}
	}
	return nil
}

type rename struct{ from, to string }

func (p *puller) order() []rename {
	var versionedFiles, copies []rename
	for _, file := range append(sortedKeys(p.snapshot.Meta), "snapshot.json") {
		name := publishedName(p.root.Consistent, file, p.res.Versions[trimJSON(file)])
		if p.root.Consistent {
			versionedFiles = append(versionedFiles, rename{name, name})
		}
		copies = append(copies, rename{name, file})
	}
	newest := versioned(p.root.Version, "root.json")
	var roots []rename
	for _, v := range p.roots {
		name := versioned(v, "root.json")
		roots = append(roots, rename{name, name})
	}
	timestamp := rename{"timestamp.json", "timestamp.json"}
	if !p.root.Consistent {
		return append(append(append(roots, rename{newest, "root.json"}), copies...), timestamp)
	}
	all := append(append(versionedFiles, copies...), rename{newest, "root.json"})
	return append(append(all, roots...), timestamp)
}

// writeFile writes one metadata file unless it is there already.
func (p *puller) writeFile(name string, data []byte) error {
	path := p.local.path(name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := atomicfile.Write(path, data, 0o644); err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	p.res.Files = append(p.res.Files, name)
	p.res.Bytes += int64(len(data))
	return nil
}
