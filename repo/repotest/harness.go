// Package repotest is the harness that the tests of repo and of its rooms share. A
// repository lies in a folder of the test's own, its keys are Ed25519 keys in memory, so a
// whole life of one (init, add, rotate, timestamp) costs milliseconds: no process, no
// passphrase, no scrypt.
//
//	r, kr := repotest.New(t, consistent)          // init, committed; the lock is held
//	repotest.Add(t, r, kr, "content", meta.Item{Name: "orbit", Platform: "linux", Version: "1"})
//	repotest.Rotate(t, r, kr, meta.RoleTargets)   // one new key in place of all
//	repotest.Stamp(t, r, kr)
//	err := kr.Try(r, p, change)                   // sign and commit, for refusals
//	old := repotest.CopyWeb(t, r)                 // repository/ as it is
//	old.Over(t, r, "root.json")                   // laid over again; no names: all of it
//	repotest.Judge(t, r)                          // verify, from every root, every byte
//
// [ForLayouts] runs a test in both layouts. Keys are made by [Keyring.Make] and sign
// what [meta.Doc.Missing] asks for. A table over states begins with a copy of one
// repository ([Clone]) rather than with a new one.
package repotest

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
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Keyring holds keys in memory; the repository never sees more of them than their
// public parts.
type Keyring map[tuf.KeyID]ed25519.PrivateKey

// Make makes a key, which the ring then holds.
func (kr Keyring) Make(t testing.TB) meta.Key {
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

// Sign signs a document with every key that it misses and that is here.
func (kr Keyring) Sign(t testing.TB, d *meta.Doc) {
	t.Helper()
	if err := kr.signed(d); err != nil {
		t.Fatal(err)
	}
}

func (kr Keyring) signed(d *meta.Doc) error {
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

// Publish signs a change and commits it.
func (kr Keyring) Publish(t testing.TB, r *repo.Repo, p *repo.Published, c *repo.Change) {
	t.Helper()
	if err := kr.Try(r, p, c); err != nil {
		t.Fatal(err)
	}
}

// Try signs a change with every key there is, and commits it.
func (kr Keyring) Try(r *repo.Repo, p *repo.Published, c *repo.Change) error {
	for _, d := range c.Docs() {
		if err := kr.signed(d); err != nil {
			return err
		}
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		return err
	}
	return kr.TryCommit(r, rel)
}

// SignAndCommit signs what a release needs and commits it.
func (kr Keyring) SignAndCommit(t testing.TB, r *repo.Repo, rel *repo.Release) {
	t.Helper()
	if err := kr.TryCommit(r, rel); err != nil {
		t.Fatal(err)
	}
}

// TryCommit is SignAndCommit, for refusals.
func (kr Keyring) TryCommit(r *repo.Repo, rel *repo.Release) error {
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

// Folder is a test's own, in memory where the machine has such a place: what these
// tests look at is not the disk, and every commit waits for it several times.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fleet-hsm-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// New makes a repository with one key a role; the lock is held.
func New(t testing.TB, consistent bool) (*repo.Repo, Keyring) {
	t.Helper()
	kr := Keyring{}
	r := repo.Open(Folder(t), repo.Options{})
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{kr.Make(t)}
	}
	Lock(t, r)
	c, err := r.Init(repo.InitOptions{Keys: keys, Consistent: consistent})
	if err != nil {
		t.Fatal(err)
	}
	kr.Publish(t, r, nil, c)
	return r, kr
}

// Lock takes the lock until the test ends.
func Lock(t testing.TB, r *repo.Repo) {
	t.Helper()
	l, err := r.Lock(context.Background(), "test", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Unlock)
}

// Load gives what is published, without a warning.
func Load(t testing.TB, r *repo.Repo) *repo.Published {
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

// Add publishes a file.
func Add(t testing.TB, r *repo.Repo, kr Keyring, content string, it meta.Item) {
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
	p := Load(t, r)
	c, err := edit.Add(r, p, nil, []edit.StagedItem{{Item: it, Content: staged}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.Publish(t, r, p, c)
}

// Put stages a file and a change that adds it; errors are the test's to judge.
func Put(t testing.TB, r *repo.Repo, content string, it meta.Item) (*repo.Published, *repo.Change, error) {
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
	c, err := edit.Add(r, p, nil, []edit.StagedItem{{Item: it, Content: staged}}, repo.StageOptions{})
	return p, c, err
}

// Rotate gives a role one new key in place of all.
func Rotate(t testing.TB, r *repo.Repo, kr Keyring, role string) {
	t.Helper()
	p := Load(t, r)
	c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: role, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.Publish(t, r, p, c)
}

// Renew has a role signed again, later; the error is the test's to judge.
func Renew(r *repo.Repo, kr Keyring, role string) error {
	p, err := r.Load()
	if err != nil {
		return err
	}
	c, err := edit.Renew(r, p, nil, role, repo.StageOptions{})
	if err != nil {
		return err
	}
	return kr.Try(r, p, c)
}

// Stamp signs a timestamp.
func Stamp(t testing.TB, r *repo.Repo, kr Keyring) {
	t.Helper()
	if err := TryStamp(r, kr); err != nil {
		t.Fatal(err)
	}
}

// TryStamp is Stamp, for refusals.
func TryStamp(r *repo.Repo, kr Keyring) error {
	rel, err := r.Timestamp(repo.ReleaseOptions{})
	if err != nil {
		return err
	}
	return kr.TryCommit(r, rel)
}

// ForLayouts runs a test in both layouts.
func ForLayouts(t *testing.T, f func(t *testing.T, consistent bool)) {
	for name, consistent := range map[string]bool{"flat": false, "consistent": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, consistent) })
	}
}

// Clone gives a copy of the folder, with a lock of its own.
func Clone(t testing.TB, r *repo.Repo) *repo.Repo {
	t.Helper()
	dir := Folder(t)
	if err := os.CopyFS(dir, os.DirFS(r.Dir())); err != nil {
		t.Fatal(err)
	}
	c := repo.Open(dir, repo.Options{})
	Lock(t, c)
	return c
}

// WebCopy is what repository/ held at a moment, by name.
type WebCopy map[string]string

// CopyWeb copies repository/.
func CopyWeb(t testing.TB, r *repo.Repo) WebCopy {
	t.Helper()
	web := filepath.Join(r.Dir(), "repository")
	files := WebCopy{}
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

// Over lays the files of those names, or all, over what is there now.
func (c WebCopy) Over(t testing.TB, r *repo.Repo, names ...string) {
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

// Unchanged fails where a numbered file of the copy is gone or holds other bytes.
func (c WebCopy) Unchanged(t testing.TB, r *repo.Repo) {
	t.Helper()
	now := CopyWeb(t, r)
	for name, data := range c {
		if name[0] >= '1' && name[0] <= '9' && now[name] != data {
			t.Errorf("%q was published and has other bytes now", name)
		}
	}
}

// Judge has a client read all of the repository, from every root, every byte.
func Judge(t testing.TB, r *repo.Repo) {
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

// Follows fails unless a client accepts the repository that knows only the oldest root,
// or was here when the files of before were served.
func Follows(t testing.TB, r *repo.Repo, before ...WebCopy) {
	t.Helper()
	now := CopyWeb(t, r)
	get := func(_ context.Context, name string, _ int64) ([]byte, error) {
		data, ok := now[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(data), nil
	}
	for i, b := range append([]WebCopy{{"root.json": now["1.root.json"]}}, before...) {
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

// RotateTo publishes a rotation.
func (kr Keyring) RotateTo(t *testing.T, r *repo.Repo, rot edit.Rotation) {
	t.Helper()
	p := Load(t, r)
	c, err := edit.Rotate(r, p, nil, rot, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.Publish(t, r, p, c)
}

// Item is a release of orbit for Linux.
func Item(version string) meta.Item {
	return meta.Item{Name: "orbit", Platform: "linux", Version: version, Channels: []string{"stable"}}
}

// Write writes a file of the folder.
func Write(t testing.TB, r *repo.Repo, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir(), filepath.FromSlash(name)), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Read reads one.
func Read(t testing.TB, r *repo.Repo, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.Dir(), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Remove removes files.
func Remove(t testing.TB, r *repo.Repo, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(r.Dir(), filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
}
