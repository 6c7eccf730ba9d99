package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Fetch reads one file of at most limit bytes; fs.ErrNotExist where there is none.
type Fetch func(ctx context.Context, name string, limit int64) ([]byte, error)

// Options say what to publish and how.
type Options struct {
	// Dir is repository/ on this machine. The caller holds its lock until Settled.
	Dir string
	// Settled, if not nil, is called by Publish once, before the first file is sent:
	// from then on metadata comes from memory, and content is sent only if it is what
	// that metadata names, so the lock of Dir need not be kept for a long upload.
	Settled func()
	// Verify, if not nil, checks signatures and expiry of Dir before anything is
	// looked at in the store.
	Verify func(ctx context.Context) error
	// Accepts, if not nil, judges the store's timestamp. One that neither this repository's
	// root accepts nor the store's was signed by a retired key or by nobody: it counts for
	// nothing and is replaced.
	Accepts Accepts
	// WithoutTimestamp publishes everything but timestamp.json, which another machine
	// signs. Only with consistent snapshots.
	WithoutTimestamp bool
	// Recheck looks at every file in the store, even where the published metadata
	// says that it is there.
	Recheck bool
	// Prune deletes what no metadata of the last Grace names, never an N.root.json.
	Prune bool
	Grace time.Duration
	// Ledger is a file that remembers what this repository published; "" for none.
	Ledger string
	// Caching is nil for DefaultCaching.
	Caching *Caching
	// Parallel is how many files go out at once within a step; 0 means 8.
	Parallel int
	// Progress hears what happens; calls do not overlap. May be nil.
	Progress func(Progress)
	// ReadBack, if not nil, is a client that updates itself from the store after the
	// upload: first with before nil, as a new client, then with the metadata
	// published before ("root.json", "timestamp.json", "snapshot.json", ...), as a
	// client that knows it. The second is left out where nothing was published.
	ReadBack func(ctx context.Context, get Fetch, before map[string][]byte) error
}

// Progress is one report of an upload.
type Progress struct {
	Step string
	// Name is the file just finished, or the one that bytes went out for.
	Name              string
	Files, FilesTotal int
	Bytes, BytesTotal int64
}

// The steps of an upload. Each is finished before the next begins.
const (
	StepContent   = "content"
	StepOldRoots  = "old-roots" // N.root.json that the store should have had already
	StepTargets   = "targets"   // targets.json, or N.targets.json
	StepSnapshot  = "snapshot"
	StepCopies    = "copies" // unversioned copies beside the versioned files
	StepRoot      = "root"   // root.json, which clients never ask for
	StepRootChain = "root-chain"
	StepTimestamp = "timestamp"
)

// Item is one file to be written or deleted.
type Item struct {
	Name string `json:"name"`
	Step string `json:"step,omitempty"`
	Size int64  `json:"size"`
	// Change is "new", "changed" or "delete".
	Change string `json:"change"`

	content Content
	put     PutOptions
	// frozen: if the name is taken by other bytes, the store holds another history.
	frozen  bool
	role    string
	version int64
}

// UploadPlan says what publishing would do.
type UploadPlan struct {
	Store  string `json:"store"`
	Layout string `json:"layout"` // "consistent" or "flat"
	// Items are in the order of writing.
	Items []Item `json:"items"`
	// Delete is empty unless pruning was asked for.
	Delete []Item `json:"delete"`
	// Bytes is the sum over Items.
	Bytes int64 `json:"bytes"`
	// Kept counts files that are there already.
	Kept int `json:"kept"`
	// Create: the folder will be made.
	Create bool `json:"create"`
	// KeepTimestamp: the store's timestamp is newer than ours, names our snapshot,
	// and stays.
	KeepTimestamp bool `json:"keep_timestamp"`
	// LeaveTimestamp: the store's timestamp is newer than ours and names the snapshot
	// that we build on. Everything else is published; clients see it when another
	// machine signs a timestamp over it.
	LeaveTimestamp bool     `json:"leave_timestamp"`
	Warnings       []string `json:"warnings"`

	o      Options
	store  Store
	local  *local
	remote *remote
	ledger *ledger
}

// MakePlan compares the repository with the store and writes nothing. It refuses what
// must not be published: a repository that does not fit together (MismatchError) or
// lacks content (ContentMissingError), and a store that is ahead (AheadError), holds
// another history (DivergedError) or, in the flat layout, has a timestamp that is not
// below ours (StaleTimestampError).
func MakePlan(ctx context.Context, s Store, o Options) (*UploadPlan, error) {
	if o.Verify != nil {
		if err := o.Verify(ctx); err != nil {
			return nil, err
		}
	}
	l, err := readLocal(o.Dir, o.WithoutTimestamp)
	if err != nil {
		return nil, err
	}
	if o.WithoutTimestamp && !l.root.Consistent {
		return nil, ErrLayout
	}
	p := &UploadPlan{Store: s.String(), Layout: "flat", Items: []Item{}, Delete: []Item{}, Warnings: []string{}, o: o, store: s, local: l}
	if l.root.Consistent {
		p.Layout = "consistent"
	}
	if p.ledger, err = openLedger(o.Ledger); err != nil {
		return nil, err
	}
	if p.remote, err = readRemote(ctx, s, l, o.Accepts); err != nil {
		return nil, err
	}
	p.Create = p.remote.missing
	if p.remote.worthless {
		p.Warnings = append(p.Warnings, "the store's timestamp is not one that agents accept, or its version is forged: it counts for nothing")
	}
	if err := p.checkHistory(); err != nil {
		return nil, err
	}
	if err := p.addSteps(ctx); err != nil {
		return nil, err
	}
	for _, it := range p.Items {
		p.Bytes += it.Size
	}
	if o.Prune {
		err = p.addDeletions(ctx)
	}
	return p, err
}

// checkHistory refuses a store that this repository was not built on.
func (p *UploadPlan) checkHistory() error {
	l, r := p.local, p.remote
	if r.same {
		return nil
	}
	if r.copyVersion > l.snapshot.Version {
		return &AheadError{Role: roleSnapshot, Local: l.snapshot.Version, Remote: r.copyVersion}
	}
	if r.copyVersion == l.snapshot.Version && !bytes.Equal(r.copyBytes, l.snapshotBytes) {
		return &DivergedError{Role: roleSnapshot, Version: r.copyVersion}
	}
	m := r.snapshotMeta()
	if v := r.copyVersion; v > 0 && v < l.snapshot.Version && v != m.Version {
		// A snapshot that waits for its timestamp, or an interrupted publish.
		if err := p.checkBase(tuf.FileMeta{Version: v, Hashes: tuf.HashesOf(r.copyBytes)}); err != nil {
			return err
		}
	}
	if r.timestamp == nil {
		return nil
	}
	switch {
	case m.Version > l.snapshot.Version:
		return &AheadError{Role: roleSnapshot, Local: l.snapshot.Version, Remote: m.Version}
	case m.Version == l.snapshot.Version && m.Fits(l.snapshotBytes) != nil:
		return &DivergedError{Role: roleSnapshot, Version: m.Version}
	}
	if err := p.checkRoles(); err != nil || m.Version == l.snapshot.Version {
		return err
	}
	return p.checkBase(m)
}

// checkRoles compares the versions of targets and delegated roles.
func (p *UploadPlan) checkRoles() error {
	if p.remote.snapshot == nil {
		return nil
	}
	for file, m := range p.remote.snapshot.Meta {
		mine, ok := p.local.versions[file]
		switch {
		case !ok:
		case m.Version > mine:
			return &AheadError{Role: trimJSON(file), Local: mine, Remote: m.Version}
		case m.Version == mine && m.Fits(p.local.roles[file]) != nil:
			return &DivergedError{Role: trimJSON(file), Version: mine}
		}
	}
	return nil
}

// checkBase asks whether the store's snapshot, older than ours, is one that this
// repository has had: by its own N.snapshot.json, else by the ledger.
func (p *UploadPlan) checkBase(m tuf.FileMeta) error {
	name := versioned(m.Version, "snapshot.json")
	if data, err := p.local.read(name); err == nil && p.local.root.Consistent {
		if m.Fits(data) != nil {
			return &DivergedError{Role: roleSnapshot, Version: m.Version}
		}
		return nil
	}
	if p.ledger.knows(m) {
		return nil
	}
	if !p.ledger.empty() {
		return &DivergedError{Role: roleSnapshot, Version: m.Version, Unknown: true}
	}
	p.Warnings = append(p.Warnings, "nothing here tells whether this repository was built on the snapshot in the store, which is older")
	return nil
}

// timestampAction decides about timestamp.json.
func (p *UploadPlan) timestampAction() (put bool, err error) {
	l, r := p.local, p.remote
	if p.o.WithoutTimestamp {
		return false, nil
	}
	if r.timestamp == nil {
		return true, nil
	}
	if bytes.Equal(r.timestampBytes, l.timestampBytes) {
		return false, nil
	}
	if r.timestamp.Version < l.timestamp.Version {
		return true, nil
	}
	// With a new root the published timestamp may carry keys that are retired now.
	if r.same && r.rootVersion == l.root.Version {
		p.KeepTimestamp = true
		return false, nil
	}
	// With consistent snapshots ours can wait beside it, as with WithoutTimestamp.
	if l.root.Consistent && r.consistent {
		p.LeaveTimestamp = true
		p.Warnings = append(p.Warnings, fmt.Sprintf("the store has timestamp version %d, ours is %d: clients see this release when a timestamp over it is signed there", r.timestamp.Version, l.timestamp.Version))
		return false, nil
	}
	return false, &StaleTimestampError{Local: l.timestamp.Version, Remote: r.timestamp.Version, Timestamp: r.timestampBytes}
}

// unseen: clients will see what is published only when a timestamp comes.
func (p *UploadPlan) unseen() bool { return p.o.WithoutTimestamp || p.LeaveTimestamp }
