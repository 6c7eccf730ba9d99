// The harness of this package's tests. A repository lies in a folder of the test's own,
// its keys are Ed25519 keys in memory, so a whole life of one (init, add, rotate,
// timestamp) costs milliseconds: no process, no passphrase, no scrypt.
//
//	r, kr := newRepo(t, consistent)        // init, committed; the lock is held
//	add(t, r, kr, "content", repo.Item{Name: "orbit", Platform: "linux", Version: "1"})
//	rotate(t, r, kr, repo.RoleTargets)     // one new key in place of all
//	stamp(t, r, kr)
//	err := kr.try(r, p, change)            // sign and commit, for refusals
//	old := copyWeb(t, r)                   // repository/ as it is
//	old.over(t, r, "root.json")            // laid over again; no names: all of it
//	judge(t, r)                            // verify, from every root, every byte
//
// [forLayouts] runs a test in both layouts. Keys are made by [keyring.make] and sign
// what [repo.Doc.Missing] asks for. A table over states begins with a copy of one
// repository ([clone]) rather than with a new one.
package repo_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// keyring holds keys in memory; the repository never sees more of them than their
// public parts.
type keyring map[tuf.KeyID]ed25519.PrivateKey

func (kr keyring) make(t testing.TB) meta.Key {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := meta.NewKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	kr[k.ID] = priv
	return k
}

func (kr keyring) sign(t testing.TB, d *meta.Doc) {
	t.Helper()
	if err := kr.signed(d); err != nil {
		t.Fatal(err)
	}
}

func (kr keyring) signed(d *meta.Doc) error {
	for _, k := range d.Missing() {
		priv, ok := kr[k.ID]
		if !ok {
			continue
		}
		sig, err := wiresig.Sign(priv, d.Payload())
		if err != nil {
			return err
		}
		if err := d.AddSignature(k.ID, sig); err != nil {
			return err
		}
	}
	return nil
}

func (kr keyring) publish(t testing.TB, r *repo.Repo, p *repo.Published, c *repo.Change) {
	t.Helper()
	if err := kr.try(r, p, c); err != nil {
		t.Fatal(err)
	}
}

// try signs a change with every key there is, and commits it.
func (kr keyring) try(r *repo.Repo, p *repo.Published, c *repo.Change) error {
	for _, d := range c.Docs() {
		if err := kr.signed(d); err != nil {
			return err
		}
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		return err
	}
	return kr.tryCommit(r, rel)
}

func (kr keyring) commit(t testing.TB, r *repo.Repo, rel *repo.Release) {
	t.Helper()
	if err := kr.tryCommit(r, rel); err != nil {
		t.Fatal(err)
	}
}

func (kr keyring) tryCommit(r *repo.Repo, rel *repo.Release) error {
	for {
		d, err := rel.Next()
		if err != nil {
			return err
		}
		if d == nil {
			return r.Commit(rel)
		}
		if err := kr.signed(d); err != nil {
			return err
		}
	}
}

// folder is a test's own, in memory where the machine has such a place: what these
// tests look at is not the disk, and every commit waits for it several times.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fleet-hsm-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newRepo(t testing.TB, consistent bool) (*repo.Repo, keyring) {
	t.Helper()
	kr := keyring{}
	r := repo.Open(folder(t), repo.Options{})
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{kr.make(t)}
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
	c, err := r.Add(p, nil, []repo.StagedItem{{Item: it, Content: staged}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.publish(t, r, p, c)
}

// put stages a file and a change that adds it; errors are the test's to judge.
func put(t testing.TB, r *repo.Repo, content string, it repo.Item) (*repo.Published, *repo.Change, error) {
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
	p, err := r.Load()
	if err != nil {
		return nil, nil, err
	}
	c, err := r.Add(p, nil, []repo.StagedItem{{Item: it, Content: staged}}, repo.StageOptions{})
	return p, c, err
}

func rotate(t testing.TB, r *repo.Repo, kr keyring, role string) {
	t.Helper()
	p := load(t, r)
	c, err := r.Rotate(p, nil, repo.Rotation{Role: role, Set: []meta.Key{kr.make(t)}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.publish(t, r, p, c)
}

func renew(r *repo.Repo, kr keyring, role string) error {
	p, err := r.Load()
	if err != nil {
		return err
	}
	c, err := r.Renew(p, nil, role, repo.StageOptions{})
	if err != nil {
		return err
	}
	return kr.try(r, p, c)
}

func stamp(t testing.TB, r *repo.Repo, kr keyring) {
	t.Helper()
	if err := tryStamp(r, kr); err != nil {
		t.Fatal(err)
	}
}

func tryStamp(r *repo.Repo, kr keyring) error {
	rel, err := r.Timestamp(repo.ReleaseOptions{})
	if err != nil {
		return err
	}
	return kr.tryCommit(r, rel)
}

func forLayouts(t *testing.T, f func(t *testing.T, consistent bool)) {
	for name, consistent := range map[string]bool{"flat": false, "consistent": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, consistent) })
	}
}

// clone gives a copy of the folder, with a lock of its own.
func clone(t testing.TB, r *repo.Repo) *repo.Repo {
	t.Helper()
	dir := folder(t)
	if err := os.CopyFS(dir, os.DirFS(r.Dir())); err != nil {
		t.Fatal(err)
	}
	c := repo.Open(dir, repo.Options{})
	lock(t, c)
	return c
}

// webCopy is what repository/ held at a moment, by name.
type webCopy map[string]string

func copyWeb(t testing.TB, r *repo.Repo) webCopy {
	t.Helper()
	web := filepath.Join(r.Dir(), "repository")
	files := webCopy{}
	err := filepath.WalkDir(web, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(web, path)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// over lays the files of those names, or all, over what is there now.
func (c webCopy) over(t testing.TB, r *repo.Repo, names ...string) {
	t.Helper()
	for name, data := range c {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		if err := os.WriteFile(filepath.Join(r.Dir(), "repository", filepath.FromSlash(name)), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// unchanged fails where a numbered file of the copy is gone or holds other bytes.
func (c webCopy) unchanged(t testing.TB, r *repo.Repo) {
	t.Helper()
	now := copyWeb(t, r)
	for name, data := range c {
		if name[0] >= '1' && name[0] <= '9' && now[name] != data {
			t.Errorf("%q was published and has other bytes now", name)
		}
	}
}

func judge(t testing.TB, r *repo.Repo) {
	t.Helper()
	report, err := verify.Run(t.Context(), verify.Options{Source: filepath.Join(r.Dir(), "repository"), FromEveryRoot: true, AllTargets: true})
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	for _, f := range report.Findings {
		if f.Severity == verify.Error {
			wrong = append(wrong, f.String())
		}
	}
	if len(wrong) > 0 {
		t.Errorf("a client refuses it:\n%s", strings.Join(wrong, "\n"))
	}
}

// follows fails unless a client accepts the repository that knows only the oldest root,
// or was here when the files of before were served.
func follows(t testing.TB, r *repo.Repo, before ...webCopy) {
	t.Helper()
	now := copyWeb(t, r)
	get := func(_ context.Context, name string, _ int64) ([]byte, error) {
		data, ok := now[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(data), nil
	}
	for i, b := range append([]webCopy{{"root.json": now["1.root.json"]}}, before...) {
		known := map[string][]byte{}
		for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json"} {
			if data, ok := b[name]; ok {
				known[name] = []byte(data)
			}
		}
		if err := verify.Refresh(t.Context(), []byte(b["root.json"]), known, get); err != nil {
			t.Errorf("client %d refuses it: %v", i, err)
		}
	}
}
