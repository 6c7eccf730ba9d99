package ceremony_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// bench is a published repository in which a change waits for two signatures.
type bench struct {
	r       *repo.Repo
	keys    map[tuf.KeyID]ed25519.PrivateKey
	request []byte
	p       *repo.Published // as it is on disk; attach never changes it
}

func (b *bench) key(t testing.TB) meta.Key {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	k, err := meta.NewKey(pub)
	check(t, err)
	b.keys[k.ID] = priv
	return k
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) sign(t testing.TB, d *meta.Doc, most int) {
	t.Helper()
	for _, k := range d.Missing() {
		if priv, ok := b.keys[k.ID]; ok && most > 0 {
			sig, err := wiresig.Sign(priv, d.Payload())
			check(t, err)
			check(t, d.AddSignature(k.ID, sig))
			most--
		}
	}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{r: repo.Open(t.TempDir(), repo.Options{}), keys: map[tuf.KeyID]ed25519.PrivateKey{}}
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{b.key(t), b.key(t)}
	}
	l, err := b.r.Lock(context.Background(), "test", time.Second)
	check(t, err)
	t.Cleanup(l.Unlock)
	c, err := b.r.Init(repo.InitOptions{Keys: keys, Thresholds: map[string]int{meta.RoleRoot: 2}, Consistent: true})
	check(t, err)
	for _, d := range c.Docs() {
		b.sign(t, d, 2)
	}
	rel, err := b.r.Release(nil, c, repo.ReleaseOptions{})
	check(t, err)
	for {
		d, err := rel.Next()
		check(t, err)
		if d == nil {
			break
		}
		b.sign(t, d, 2)
	}
	check(t, b.r.Commit(rel))
	p, c := b.stage(t)
	q, err := ceremony.New(b.r, p, c, map[tuf.KeyID]ceremony.Hint{c.Root().Keys(meta.RoleRoot)[0].ID: {URI: place(t, "piv:serial=1;slot=9c"), Name: "blue"}})
	check(t, err)
	b.sign(t, q.Change.Docs()[0], 1)
	b.request, err = q.Bytes()
	check(t, err)
	return b
}

func place(t testing.TB, s string) locator.Locator {
	t.Helper()
	l, err := locator.Parse(s)
	check(t, err)
	return l
}

func (b *bench) stage(t testing.TB) (*repo.Published, *repo.Change) {
	t.Helper()
	if b.p == nil {
		p, err := b.r.Load()
		check(t, err)
		b.p = p
	}
	p := b.p
	c, err := b.r.Staged(p)
	if err == nil {
		return p, c
	}
	c, err = edit.Rotate(b.r, p, nil, edit.Rotation{Role: meta.RoleTargets, Set: []meta.Key{b.key(t)}}, repo.StageOptions{})
	check(t, err)
	check(t, b.r.Save(c))
	return p, c
}

// attach does what the command does, on a copy in memory.
func (b *bench) attach(t testing.TB, data []byte) error {
	t.Helper()
	q, err := ceremony.Parse("fuzz", data, time.Now())
	if err != nil {
		return err
	}
	p, staged := b.stage(t)
	if err := bundle.CheckOrigin(b.r, p, q.Verified); err != nil {
		return err
	}
	before := staged.Docs()[0].Payload()
	if _, err := staged.Merge(q.Change); err != nil {
		return err
	}
	if !bytes.Equal(before, staged.Docs()[0].Payload()) {
		t.Error("attach changed what is staged")
	}
	if staged.Met() {
		t.Error("one signature became two")
	}
	return nil
}

// TestRoundTrip: what was written is read again, byte for byte, and attached.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	q, err := ceremony.Parse("request", b.request, time.Now())
	check(t, err)
	again, err := q.Bytes()
	check(t, err)
	if !bytes.Equal(again, b.request) {
		t.Errorf("read and written again, a request is another one:\n%s\n%s", b.request, again)
	}
	check(t, b.attach(t, b.request))
}

// FuzzAttach feeds mutated, truncated, reordered and foreign requests to attach:
// never a panic, never a change of what is staged or published, never a signature
// that nobody made.
func FuzzAttach(f *testing.F) {
	b, other := newBench(f), newBench(f)
	if err := b.attach(f, other.request); err == nil {
		f.Fatal("a foreign request was taken")
	}
	f.Add(b.request)
	f.Add(other.request)
	f.Add(b.request[:len(b.request)/2])
	f.Add(append(bytes.Clone(b.request), b.request...))
	f.Add(bytes.Replace(b.request, []byte(`"version":2`), []byte(`"version":3`), 1))
	f.Add(bytes.Replace(b.request, []byte(`"threshold":2`), []byte(`"threshold":1`), 1))
	f.Add(bytes.ReplaceAll(b.request, []byte(`"sig":"`), []byte(`"sig":"00`)))
	f.Add([]byte(`{"fleet_hsm_request":1}`))
	f.Add([]byte(`[]`))
	published := filepath.Join(b.r.Dir(), "repository", "root.json")
	was, err := os.ReadFile(published)
	check(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := b.attach(t, data); err != nil && err.Error() == "" {
			t.Error("refused without a reason")
		}
		if now, err := os.ReadFile(published); err != nil || !bytes.Equal(now, was) {
			t.Errorf("the published root was changed: %v", err)
		}
	})
}
