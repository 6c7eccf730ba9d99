package repo_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// bench holds keys in memory; the repository never sees more of them than their
// public parts.
type keyring map[tuf.KeyID]ed25519.PrivateKey

func (kr keyring) make(t testing.TB) repo.Key {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := repo.NewKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	kr[k.ID] = priv
	return k
}

func (kr keyring) sign(t testing.TB, d *repo.Doc) {
	t.Helper()
	for _, k := range d.Missing() {
		priv, ok := kr[k.ID]
		if !ok {
			continue
		}
		sig, err := wiresig.Sign(priv, d.Payload())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.AddSignature(k.ID, sig); err != nil {
			t.Fatal(err)
		}
	}
}

func (kr keyring) publish(t testing.TB, r *repo.Repo, p *repo.Published, c *repo.Change) {
	t.Helper()
	for _, d := range c.Docs() {
		kr.sign(t, d)
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.commit(t, r, rel)
}

func (kr keyring) commit(t testing.TB, r *repo.Repo, rel *repo.Release) {
	t.Helper()
	for {
		d, err := rel.Next()
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			break
		}
		kr.sign(t, d)
	}
	if err := r.Commit(rel); err != nil {
		t.Fatal(err)
	}
}

func newRepo(t testing.TB, consistent bool) (*repo.Repo, keyring) {
	t.Helper()
	kr := keyring{}
	r := repo.Open(t.TempDir(), repo.Options{})
	keys := map[string][]repo.Key{}
	for _, role := range repo.Roles() {
		keys[role] = []repo.Key{kr.make(t)}
	}
	lock(t, r)
	c, err := r.Init(repo.InitOptions{Keys: keys, Consistent: consistent})
	if err != nil {
		t.Fatal(err)
	}
	kr.publish(t, r, nil, c)
	return r, kr
}

func lock(t testing.TB, r *repo.Repo) {
	t.Helper()
	l, err := r.Lock(context.Background(), "test", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Unlock)
}

func load(t testing.TB, r *repo.Repo) *repo.Published {
	t.Helper()
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) > 0 {
		t.Fatalf("warnings: %v", p.Warnings)
	}
	return p
}

func add(t testing.TB, r *repo.Repo, kr keyring, content string, it repo.Item) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	staged, err := r.Stage(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	it.File = file
	p := load(t, r)
	c, err := r.Add(p, nil, []repo.Placed{{Item: it, Content: staged}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.publish(t, r, p, c)
}

func TestLifeOfARepository(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		t.Run(map[bool]string{true: "consistent", false: "flat"}[consistent], func(t *testing.T) {
			r, kr := newRepo(t, consistent)
			add(t, r, kr, "one", repo.Item{Name: "orbit", Platform: "linux", Version: "1.0.0", Channels: []string{"stable", "edge"}})
			add(t, r, kr, "two", repo.Item{Name: "orbit", Platform: "linux", Version: "1.1.0", Channels: []string{"edge"}})
			rel, err := r.Timestamp(repo.ReleaseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			kr.commit(t, r, rel)
			for _, role := range repo.Roles() {
				p := load(t, r)
				c, err := r.Rotate(p, nil, repo.Rotation{Role: role, Set: []repo.Key{kr.make(t)}}, repo.StageOptions{})
				if err != nil {
					t.Fatal(err)
				}
				kr.publish(t, r, p, c)
			}
			p := load(t, r)
			if p.Root.Version() != 5 || p.Targets.Version() != 4 || p.Targets.Len() != 4 {
				t.Errorf("root v%d, targets v%d with %d paths; want 5, 4, 4", p.Root.Version(), p.Targets.Version(), p.Targets.Len())
			}
			entries, err := os.ReadDir(filepath.Join(r.Dir(), "pending"))
			if err != nil || len(entries) != 1 {
				t.Errorf("pending/ holds %v; want the lock alone", entries)
			}
		})
	}
}
