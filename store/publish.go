package store

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// inMemory is up to which size a target file is read whole, checked and sent; a
// larger one is checked first and then read again.
const inMemory = 4 << 20

// Result says what a publish did.
type Result struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Kept counts files that were there already.
	Kept    int `json:"kept"`
	Deleted int `json:"deleted"`
	// TimestampKept: the timestamp in the store is another machine's, newer than
	// ours and over our snapshot.
	TimestampKept bool `json:"timestamp_kept"`
	// TimestampLeft: no client sees this release until another machine has signed a
	// timestamp over it.
	TimestampLeft bool `json:"timestamp_left"`
}

// Publish makes the plan happen: each step finished before the next, then read back,
// then deletions. After an error or a kill the store is what clients can use, and the
// next publish goes on from there.
func (p *UploadPlan) Publish(ctx context.Context) (Result, error) {
	res := Result{Kept: p.Kept, TimestampKept: p.KeepTimestamp, TimestampLeft: p.unseen() && !p.remote.same}
	if err := p.prepare(ctx); err != nil {
		return res, err
	}
	if p.o.Settled != nil {
		p.o.Settled()
	}
	meter := newMeter(p)
	for i := 0; i < len(p.Items); {
		n := p.stepLength(i)
		step := p.Items[i : i+n]
		if step[0].Step == StepTimestamp && p.local.root.Consistent {
			// No client must hear of files that the store took and does not serve. In
			// the flat layout clients fail until the timestamp is there: it comes first.
			if err := p.readBackFiles(ctx, p.Items[:i]); err != nil {
				return res, err
			}
		}
		err := parallel(ctx, p.workersFor(step[0].Step), n, func(ctx context.Context, j int) error {
			kept, err := p.write(ctx, &step[j], meter)
			if kept {
				res.TimestampKept = true
			}
			return err
		})
		if err != nil {
			return res, err
		}
		for _, it := range step {
			res.Files++
			res.Bytes += it.Size
		}
		i += n
	}
	if err := p.readBack(ctx); err != nil {
		return res, err
	}
	var err error
	res.Deleted, err = p.prune(ctx)
	return res, err
}

func (p *UploadPlan) prepare(ctx context.Context) error {
	if c, ok := p.store.(Creator); ok && p.Create {
		if err := c.Create(ctx); err != nil {
			return err
		}
		p.remote.missing = false
	}
	return p.ledger.record(p.local.snapshot.Version, p.local.snapshotBytes)
}

// stepLength is how many items from i on may go out together: those of one step, but
// roots one by one.
func (p *UploadPlan) stepLength(i int) int {
	n := 1
	for i+n < len(p.Items) && p.Items[i+n].Step == p.Items[i].Step && p.Items[i].Step != StepRootChain {
		n++
	}
	return n
}

func (p *UploadPlan) workersFor(step string) int {
	if step == StepContent {
		return p.workers()
	}
	return 1
}

// write writes one item. It reports whether another machine's timestamp was found in
// place of ours and is as good.
func (p *UploadPlan) write(ctx context.Context, it *Item, m *meter) (kept bool, err error) {
	defer func() {
		if err == nil {
			m.done(it)
		}
	}()
	o := it.put
	o.Progress = func(n int64) { m.add(it, n) }
	if it.Step == StepContent {
		return false, p.writeContent(ctx, it, o)
	}
	data, err := readAll(it.content)
	if err != nil {
		return false, err
	}
	_, err = PutBytes(ctx, p.store, it.Name, data, o)
	if !errors.Is(err, ErrPrecondition) {
		return false, err
	}
	if it.Step == StepTimestamp {
		return p.meetTimestamp(ctx, err)
	}
	if it.frozen {
		return false, &DivergedError{Role: it.role, Version: it.version}
	}
	return false, err
}

// meetTimestamp looks at a timestamp that came in between: the online signer may have
// covered our snapshot already.
func (p *UploadPlan) meetTimestamp(ctx context.Context, cause error) (bool, error) {
	o, err := Get(ctx, p.store, "timestamp.json", tuf.MaxTimestamp)
	if err != nil {
		return false, errors.Join(cause, err)
	}
	ts, err := parseMetadata(o.Data, roleTimestamp)
	if err != nil {
		return false, errors.Join(cause, err)
	}
	m := ts.Meta["snapshot.json"]
	if ts.Version >= p.local.timestamp.Version && m.Version == p.local.snapshot.Version && m.Fits(p.local.snapshotBytes) == nil {
		return true, nil
	}
	// Over a newer snapshot a timestamp of ours would help nobody: the next plan says that
	// the store is ahead.
	if ts.Version >= p.local.timestamp.Version && m.Version <= p.local.snapshot.Version {
		return false, &StaleTimestampError{Local: p.local.timestamp.Version, Remote: ts.Version, Timestamp: o.Data}
	}
	return false, cause
}

// writeContent sends a target file after it has proved to be what metadata names.
func (p *UploadPlan) writeContent(ctx context.Context, it *Item, o PutOptions) error {
	if it.Size <= inMemory {
		data, err := readAll(it.content)
		if err != nil {
			return err
		}
		c := Bytes(data)
		if c.SHA512 != it.content.SHA512 {
			return p.local.bad(it.Name, "targets.json", "SHA-512 does not match")
		}
		_, err = p.store.Put(ctx, it.Name, c, o)
		return err
	}
	sum, err := digest(sha512.New(), it.content.Open)
	if err != nil {
		return err
	}
	if sum != it.content.SHA512 {
		return p.local.bad(it.Name, "targets.json", "SHA-512 does not match")
	}
	_, err = p.store.Put(ctx, it.Name, it.content, o)
	return err
}

func readAll(c Content) ([]byte, error) {
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data := make([]byte, c.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return nil, ErrTooLarge
	}
	return data, nil
}

// readBack reads what clients will read, and lets one or two clients try.
func (p *UploadPlan) readBack(ctx context.Context) error {
	rest := p.Items
	if n := len(rest) - 1; n >= 0 && rest[n].Step == StepTimestamp && p.local.root.Consistent {
		rest = rest[n:] // the others were read before it was written
	}
	if err := p.readBackFiles(ctx, rest); err != nil {
		return err
	}
	if p.o.ReadBack == nil || (p.unseen() && (p.remote.timestamp == nil || p.remote.rootVersion != p.local.root.Version)) {
		return nil // until the timestamp comes there is nothing for a client to see
	}
	get := func(ctx context.Context, name string, limit int64) ([]byte, error) {
		o, err := Get(ctx, p.store, name, limit)
		return o.Data, err
	}
	if err := p.o.ReadBack(ctx, get, nil); err != nil {
		return fmt.Errorf("%w: a new client: %w", ErrReadBack, err)
	}
	before := p.before()
	if before == nil {
		return nil
	}
	if err := p.o.ReadBack(ctx, get, before); err != nil {
		return fmt.Errorf("%w: a client that knows the version before: %w", ErrReadBack, err)
	}
	return nil
}

// before is the metadata that a client of the version before holds.
func (p *UploadPlan) before() map[string][]byte {
	r, l := p.remote, p.local
	if r.timestamp == nil || r.rootVersion == 0 {
		return nil
	}
	root, err := l.read(versioned(r.rootVersion, "root.json"))
	if err != nil {
		return nil
	}
	files := map[string][]byte{"root.json": root, "timestamp.json": r.timestampBytes}
	if r.same {
		files["snapshot.json"] = l.snapshotBytes
		for file, data := range l.roles {
			files[file] = data
		}
		return files
	}
	if r.snapshotBytes == nil || len(r.roles) < len(r.snapshot.Meta) {
		return nil // nobody could have been at a state that was never whole
	}
	files["snapshot.json"] = r.snapshotBytes
	for file, data := range r.roles {
		files[file] = data
	}
	return files
}

// readBackFiles asks for what was written.
func (p *UploadPlan) readBackFiles(ctx context.Context, items []Item) error {
	if err := p.readBackMetadata(ctx, items); err != nil {
		return err
	}
	return p.readBackContent(ctx, items)
}

// readBackMetadata asks for the metadata that was written, as a client would.
func (p *UploadPlan) readBackMetadata(ctx context.Context, written []Item) error {
	for i := range written {
		it := &written[i]
		if it.Step == StepContent {
			continue
		}
		want, err := readAll(it.content)
		if err != nil {
			return err
		}
		got, err := Get(ctx, p.store, it.Name, max(it.Size, tuf.MaxTimestamp))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReadBack, err)
		}
		if bytes.Equal(got.Data, want) {
			continue
		}
		// A timestamp may be renewed at any moment.
		if it.Step == StepTimestamp {
			if _, err := p.meetTimestamp(ctx, ErrReadBack); err == nil {
				continue
			}
		}
		return fmt.Errorf("%w: %q in %q is not what was written", ErrReadBack, it.Name, p.Store)
	}
	return nil
}

// readBackContent looks at each target file that was written.
func (p *UploadPlan) readBackContent(ctx context.Context, written []Item) error {
	var items []Item
	for _, it := range written {
		if it.Step == StepContent {
			items = append(items, it)
		}
	}
	if len(items) == 0 {
		return nil
	}
	find, err := p.finder(ctx, len(items))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	return parallel(ctx, p.workers(), len(items), func(ctx context.Context, i int) error {
		info, err := find(ctx, items[i].Name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReadBack, err)
		}
		if info == nil || info.Size != items[i].Size {
			return fmt.Errorf("%w: %q in %q is absent or cut", ErrReadBack, items[i].Name, p.Store)
		}
		return nil
	})
}

// meter adds up progress; its reports do not overlap.
type meter struct {
	mu     sync.Mutex
	report func(Progress)
	p      Progress
	sent   map[string]int64
}

func newMeter(p *UploadPlan) *meter {
	return &meter{report: p.o.Progress, p: Progress{FilesTotal: len(p.Items), BytesTotal: p.Bytes}, sent: map[string]int64{}}
}

// add counts bytes on their way. Bytes sent again after a lost connection do not
// count above the size of the file.
func (m *meter) add(it *Item, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = min(n, it.Size-m.sent[it.Name])
	if n <= 0 {
		return
	}
	m.sent[it.Name] += n
	m.tell(it, n, 0)
}

func (m *meter) done(it *Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := it.Size - m.sent[it.Name]
	delete(m.sent, it.Name)
	m.tell(it, rest, 1)
}

func (m *meter) tell(it *Item, bytes int64, files int) {
	m.p.Step, m.p.Name = it.Step, it.Name
	m.p.Bytes += bytes
	m.p.Files += files
	if m.report != nil {
		m.report(m.p)
	}
}
