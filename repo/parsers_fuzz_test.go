package repo_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Parsers of what may come from elsewhere: a published repository, a folder that
// travelled on a stick, a person's typing.

// A staged change from a stick is refused or understood, and no signature counts
// that does not verify.
func FuzzStaged(f *testing.F) {
	r, published := seedRepo(f, f.TempDir())
	c, err := edit.Rotate(r, published, nil, edit.Rotation{Role: meta.RoleRoot, Add: []meta.Key{seedKey(f, 9)}}, repo.StageOptions{})
	if err != nil {
		f.Fatal(err)
	}
	if err := r.Save(c); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(r.Dir(), "pending", "change.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte(`"base_root":1`), []byte(`"base_root":0`), 1))
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(`{"schema":1,"base_root":1,"base_targets":1,"targets":{"signatures":[],"signed":{"_type":"targets","expires":"2030-01-01T00:00:00Z","targets":{"../x":{}},"version":2}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(r.Dir(), "pending", "change.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*repo.Published{published, nil} {
			c, err := r.Staged(p)
			if err != nil {
				continue
			}
			for _, d := range c.Docs() {
				for _, tally := range d.Tallies() {
					if tally.Have > 0 {
						t.Fatalf("%s counts a signature that nobody made", d.Role())
					}
				}
			}
			if _, err := diff.Of(r, p, c, nil); err != nil && strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
		}
	})
}

// A journal moves files from pending/commit to repository/, and nothing else.
func FuzzJournal(f *testing.F) {
	for _, s := range []string{
		`{"schema":1,"change":true,"renames":[{"from":"commit/0","to":"repository/x.json"}]}`,
		`{"schema":1,"renames":[{"from":"commit/0","to":"keys/root.json"}]}`,
		`{"schema":1,"renames":[{"from":"commit/../change.json","to":"repository/x"}]}`,
		`{"schema":1,"renames":[{"from":"commit/0","to":"repository/../keys/root.json"}]}`,
		`{"schema":1,"renames":[{"from":"/etc/passwd","to":"repository/x"}]}`,
		`{"schema":1,"renames":[{"from":"commit/0","to":"repository/a/b/c"},{"from":"commit/1","to":"repository/a"}]}`,
		`{"schema":2}`, `{"schema":1}`, `[]`, ``, `{"schema":1,"renames":[{"from":"commit/","to":"repository/"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		files := map[string]string{
			"pending/journal": string(data), "pending/commit/0": "new", "keys/root.json": "key", "outside": "outside", "repository/root.json": "root",
		}
		for name, content := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := repo.Open(dir, repo.Options{}).Lock(context.Background(), "fuzz", time.Second)
		if err == nil {
			l.Unlock()
		}
		for _, name := range []string{"keys/root.json", "outside"} {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != files[name] {
				t.Fatalf("journal %q changed %s: %q (%v)", data, name, b, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 4 {
			t.Fatalf("journal %q left %v (%v)", data, entries, err)
		}
	})
}

// seedKey is a key of a fixed seed: a corpus must not change from run to run.
func seedKey(t testing.TB, n byte) meta.Key {
	t.Helper()
	k, err := meta.NewKey(seedPrivate(n).Public())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seedPrivate(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// seedRepo publishes a small repository with a fixed clock.
func seedRepo(t testing.TB, dir string) (*repo.Repo, *repo.Published) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := repo.Open(dir, repo.Options{Now: func() time.Time { return now }})
	l, err := r.Lock(context.Background(), "seed", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Unlock)
	private := map[tuf.KeyID]ed25519.PrivateKey{}
	keys := map[string][]meta.Key{}
	for i, role := range meta.Roles() {
		k := seedKey(t, byte(i+1))
		keys[role], private[k.ID] = []meta.Key{k}, seedPrivate(byte(i+1))
	}
	c, err := r.Init(repo.InitOptions{Keys: keys, Consistent: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Docs() {
		seedSign(t, d, private)
	}
	rel, err := r.Release(nil, c, repo.ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for d, err := rel.Next(); d != nil || err != nil; d, err = rel.Next() {
		if err != nil {
			t.Fatal(err)
		}
		seedSign(t, d, private)
	}
	if err := r.Commit(rel); err != nil {
		t.Fatal(err)
	}
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	return r, p
}

func seedSign(t testing.TB, d *meta.Doc, private map[tuf.KeyID]ed25519.PrivateKey) {
	t.Helper()
	for _, k := range d.Missing() {
		sig, err := wiresig.Sign(private[k.ID], d.Payload())
		if err == nil {
			err = d.AddSignature(k.ID, sig)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
