package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// probeWriters is how many writers a probe sets against each other.
const probeWriters = 8

// Finding is one thing that a probe saw.
type Finding struct {
	// Code is stable: "credentials", "write", "large-file", "if-none-match", "if-match", "one-winner",
	// "read-after-write", "clock", "list", "delete".
	Code string `json:"code"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	// Setting is what makes it go well if it is added to the store's URL; most often "".
	Setting string `json:"setting,omitempty"`
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
	p.largeFile(ctx)
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

// write also reads what it wrote: pages of a proxy may look like success.
func (p *probe) write(ctx context.Context) bool {
	err := p.tryWrite(ctx, p.store)
	ok := p.say("write", err, "a file can be written", "a file cannot be written")
	if b, is := p.store.(*bucket); is && errors.Is(err, fs.ErrPermission) {
		p.found[len(p.found)-1].Setting = p.whichSetting(ctx, b)
	}
	return ok
}

func (p *probe) tryWrite(ctx context.Context, s Store) error {
	const text = "first"
	if _, err := s.Put(ctx, p.name, Bytes([]byte(text)), PutOptions{Absent: true}); err != nil {
		return err
	}
	o, err := Get(ctx, s, p.name, tuf.MaxTimestamp)
	if err == nil && string(o.Data) != text {
		err = &OpError{Op: "reading", Name: p.name, Store: s.String(), Err: &GatewayError{What: "something that was not written"}}
	}
	return err
}

// whichSetting tries what buckets demand by policy, "" if none of it helps.
func (p *probe) whichSetting(ctx context.Context, b *bucket) string {
	for _, try := range []struct {
		setting string
		set     func(*Location)
		not     bool
	}{
		{"payer=requester", func(l *Location) { l.Payer = "requester" }, b.loc.Plain || b.loc.Payer != ""},
		{"sse=" + sseAES, func(l *Location) { l.SSE = sseAES }, b.loc.SSE == sseAES},
		{"sse=" + sseKMS, func(l *Location) { l.SSE = sseKMS }, b.loc.SSE == sseKMS},
	} {
		loc := b.loc
		try.set(&loc)
		if try.not {
			continue
		}
		s, err := newBucket(loc, b.opened)
		if err == nil && p.tryWrite(ctx, s) == nil {
			p.store = s // what was written is removed as it was written
			return try.setting
		}
	}
	return ""
}

// largeFile sends a small file in the way of a large one.
func (p *probe) largeFile(ctx context.Context) {
	b, ok := p.store.(*bucket)
	if !ok {
		return
	}
	const text = "large"
	name := p.name + "-large"
	_, err := b.sendParts(ctx, name, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{ServerSideEncryption: b.loc.encryption(), SendContentMd5: true}, nil)
	if err != nil {
		err = b.fail("writing", name, err)
	} else {
		_ = b.Delete(ctx, name) // whether that can be done is asked below
	}
	p.say("large-file", err, "large files can be written", fmt.Sprintf("files over %d MiB cannot be written", partSize>>20))
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
	old, err := p.stat(ctx)
	if err == nil {
		_, err = p.put(ctx, "third", PutOptions{Match: old.ETag})
	}
	if err == nil {
		_, err = p.put(ctx, "fourth", PutOptions{Match: old.ETag})
		err = mustFail(err)
	}
	p.say("if-match", err, "If-Match protects timestamp.json", "If-Match does not protect timestamp.json")
}

// stat wants an ETag too: without one a condition would be none.
func (p *probe) stat(ctx context.Context) (Info, error) {
	info, err := p.store.Stat(ctx, p.name)
	if err == nil && info.ETag == "" {
		err = noETag("replacing", p.name, p.store.String())
	}
	return info, err
}

func (p *probe) oneWinner(ctx context.Context) {
	info, err := p.stat(ctx)
	if err == nil {
		err = p.race(ctx, info.ETag)
	}
	p.say("one-winner", err, fmt.Sprintf("of %d writers at once exactly one wins", probeWriters), "writers at once do not exclude each other")
}

func (p *probe) race(ctx context.Context, etag string) error {
	var wins atomic.Int64
	var other atomic.Value // of otherError
	var wg sync.WaitGroup
	for i := range probeWriters {
		wg.Go(func() {
			_, err := p.put(ctx, fmt.Sprintf("race %d", i), PutOptions{Match: etag})
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, ErrPrecondition):
				other.Store(otherError{err})
			}
		})
	}
	wg.Wait()
	n := wins.Load()
	if o, failed := other.Load().(otherError); failed && n == 0 {
		return o.err
	}
	if n != 1 {
		return fmt.Errorf("%d writers won: %w", n, ErrUnsupported)
	}
	return nil
}

// otherError is why a writer failed, if not for the condition.
type otherError struct{ err error }

func (p *probe) readBack(ctx context.Context) {
	const text = "read me back"
	_, err := p.put(ctx, text, PutOptions{})
	var o Object
	if err == nil {
		o, err = Get(ctx, p.store, p.name, tuf.MaxTimestamp)
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
