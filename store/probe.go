package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

// probeWriters is how many writers a probe sets against each other.
const probeWriters = 8

// Finding is one thing that a probe saw.
type Finding struct {
	// Code is stable: "credentials", "write", "if-none-match", "if-match", "one-winner",
	// "read-after-write", "clock", "list", "delete".
	Code string `json:"code"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	// Err is the error behind it; may be nil.
	Err error `json:"-"`
}

// Probe tries on a store what publishing and the online signer rely on: conditional
// writes above all, which some S3 servers take and ignore. It works on files of its
// own, named .fleet-hsm-probe-..., and removes them.
func Probe(ctx context.Context, s Store) []Finding {
	p := &probe{store: s, name: ".fleet-hsm-probe-" + rand.Text()}
	if !p.credentials(ctx) {
		return p.found
	}
	defer p.clean(ctx)
	if !p.write(ctx) {
		return p.found
	}
	p.ifNoneMatch(ctx)
	p.ifMatch(ctx)
	p.oneWinner(ctx)
	p.readBack(ctx)
	p.list(ctx)
	p.remove(ctx)
	return p.found
}

type probe struct {
	store Store
	name  string
	found []Finding
}

func (p *probe) say(code string, err error, good, bad string) bool {
	f := Finding{Code: code, OK: err == nil, Text: good, Err: err}
	if err != nil {
		f.Text = bad + ": " + err.Error()
	}
	p.found = append(p.found, f)
	return f.OK
}

func (p *probe) put(ctx context.Context, text string, o PutOptions) (Info, error) {
	return p.store.Put(ctx, p.name, Bytes([]byte(text)), o)
}

// credentials says where they come from: a probe as somebody else proves nothing.
func (p *probe) credentials(ctx context.Context) bool {
	signed, ok := p.store.(Identified)
	if !ok {
		return true
	}
	who, err := signed.Identity(ctx)
	return p.say("credentials", err, "credentials: "+who, "there are no credentials to write with")
}

func (p *probe) write(ctx context.Context) bool {
	_, err := p.put(ctx, "first", PutOptions{Absent: true})
	return p.say("write", err, "a file can be written", "a file cannot be written")
}

// errIgnored: a write whose condition did not hold went through.
var errIgnored = fmt.Errorf("the condition is ignored: %w", ErrUnsupported)

// mustFail turns "it went through" into errIgnored.
func mustFail(err error) error {
	if err == nil {
		return errIgnored
	}
	if errors.Is(err, ErrPrecondition) {
		return nil
	}
	return err
}

func (p *probe) ifNoneMatch(ctx context.Context) {
	_, err := p.put(ctx, "second", PutOptions{Absent: true})
	p.say("if-none-match", mustFail(err), "If-None-Match protects versioned files", "If-None-Match does not protect versioned files")
}

func (p *probe) ifMatch(ctx context.Context) {
	old, err := p.store.Stat(ctx, p.name)
	if err == nil {
		_, err = p.put(ctx, "third", PutOptions{Match: old.ETag})
	}
	if err == nil {
		_, err = p.put(ctx, "fourth", PutOptions{Match: old.ETag})
		err = mustFail(err)
	}
	p.say("if-match", err, "If-Match protects timestamp.json", "If-Match does not protect timestamp.json")
}

func (p *probe) oneWinner(ctx context.Context) {
	info, err := p.store.Stat(ctx, p.name)
	if err == nil {
		err = p.race(ctx, info.ETag)
	}
	p.say("one-winner", err, fmt.Sprintf("of %d writers at once exactly one wins", probeWriters), "writers at once do not exclude each other")
}

func (p *probe) race(ctx context.Context, etag string) error {
	var wins atomic.Int64
	var other atomic.Value
	var wg sync.WaitGroup
	for i := range probeWriters {
		wg.Go(func() {
			_, err := p.put(ctx, fmt.Sprintf("race %d", i), PutOptions{Match: etag})
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, ErrPrecondition):
				other.Store(err.Error())
			}
		})
	}
	wg.Wait()
	if n := wins.Load(); n != 1 {
		return fmt.Errorf("%d writers won (other errors: %v): %w", n, other.Load(), ErrUnsupported)
	}
	return nil
}

func (p *probe) readBack(ctx context.Context) {
	const text = "read me back"
	_, err := p.put(ctx, text, PutOptions{})
	var o Object
	if err == nil {
		o, err = Get(ctx, p.store, p.name, limitTimestamp)
	}
	if err == nil && string(o.Data) != text {
		err = ErrReadBack
	}
	p.say("read-after-write", err, "what was written is served at once", "what was written is not served at once")
	if err == nil {
		p.clock(o)
	}
}

// maxSkew is how far the store's clock may be from ours.
const maxSkew = 5 * time.Minute

func (p *probe) clock(o Object) {
	if o.Date.IsZero() {
		p.say("clock", nil, "the store has no clock of its own", "")
		return
	}
	skew := time.Since(o.Date).Round(time.Second)
	var err error
	if skew.Abs() > maxSkew {
		err = fmt.Errorf("%s apart", skew.Abs())
	}
	p.say("clock", err, "this machine's clock and the store's agree", "this machine's clock and the store's disagree")
}

func (p *probe) list(ctx context.Context) {
	err := error(fs.ErrNotExist)
	for info, lerr := range p.store.List(ctx, p.name) {
		if err = lerr; err == nil && info.Name != p.name {
			err = fs.ErrNotExist
		}
	}
	p.say("list", err, "files can be listed", "files cannot be listed, which publishing many files and pruning need")
}

func (p *probe) remove(ctx context.Context) {
	err := p.store.Delete(ctx, p.name)
	if err == nil {
		if _, serr := p.store.Stat(ctx, p.name); !errors.Is(serr, fs.ErrNotExist) {
			err = fmt.Errorf("it is still there: %w", ErrUnsupported)
		}
	}
	p.say("delete", err, "files can be deleted", "files cannot be deleted, which pruning needs")
}

// clean removes the probe file even where the context has ended.
func (p *probe) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = p.store.Delete(ctx, p.name)
}
