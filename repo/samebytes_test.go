package repo_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestSameBytesWithoutArchive: a repository without cold roles is written byte for byte as
// it was before there were any. The sums are of the files that the tree wrote which had no
// archive yet.
func TestSameBytesWithoutArchive(t *testing.T) {
	t.Parallel()
	for layout, want := range map[string]string{
		"flat":       "34d11d2069b2e0f490a1af728bebc525",
		"consistent": "46cca92732ce7816d7dcd2b33a4792fb",
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			if got := fixedLife(t, layout == "consistent"); got != want {
				t.Errorf("sum %s, not %s", got, want)
			}
		})
	}
}

// fixedLife is a life whose keys, dates and contents are always the same. It gives a sum of
// everything that is published, and of a staged change.
func fixedLife(t *testing.T, consistent bool) string {
	dir := repotest.Folder(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := repo.Open(dir, repo.Options{Now: func() time.Time { now = now.Add(time.Minute).Truncate(time.Minute); return now }})
	kr := repotest.Keyring{}
	key := func() meta.Key {
		priv := ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%032d", len(kr))))
		pub, ok := priv.Public().(ed25519.PublicKey)
		if !ok {
			t.Fatal("no Ed25519 key")
		}
		k, err := meta.NewKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		kr[k.ID] = priv
		return k
	}
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{key()}
	}
	publish := func(make func(p *repo.Published) (*repo.Change, error)) {
		t.Helper()
		var p *repo.Published
		if exists(dir) {
			var err error
			if p, err = r.Load(); err != nil {
				t.Fatal(err)
			}
		}
		c, err := make(p)
		if err != nil {
			t.Fatal(err)
		}
		kr.Publish(t, r, p, c)
	}
	if err := os.Mkdir(filepath.Join(dir, "pending"), 0o700); err != nil {
		t.Fatal(err)
	}
	publish(func(*repo.Published) (*repo.Change, error) {
		return r.Init(repo.InitOptions{Keys: keys, Consistent: consistent})
	})
	add := func(p *repo.Published, version string, channels ...string) (*repo.Change, error) {
		file := filepath.Join(dir, "orbit")
		if err := os.WriteFile(file, []byte("orbit "+version), 0o600); err != nil {
			return nil, err
		}
		content, err := r.Stage(context.Background(), file, nil)
		if err != nil {
			return nil, err
		}
		it := meta.Item{Name: "orbit", Platform: "linux", Version: version, Channels: channels, File: file}
		return edit.Add(r, p, nil, []edit.StagedItem{{Item: it, Content: content}}, repo.StageOptions{})
	}
	for _, version := range []string{"1.0.0", "1.0.1", "1.0.2"} {
		publish(func(p *repo.Published) (*repo.Change, error) { return add(p, version, "edge") })
	}
	publish(func(p *repo.Published) (*repo.Change, error) {
		c, _, err := edit.Promote(r, p, nil, edit.Promotion{Version: "1.0.1", From: "1.0.1", To: []string{"stable"}}, repo.StageOptions{})
		return c, err
	})
	publish(func(p *repo.Published) (*repo.Change, error) {
		c, _, err := edit.Remove(r, p, nil, edit.Removal{Channel: "1.0.0"}, repo.StageOptions{})
		return c, err
	})
	for _, role := range meta.Roles() {
		publish(func(p *repo.Published) (*repo.Change, error) {
			return edit.Rotate(r, p, nil, edit.Rotation{Role: role, Set: []meta.Key{key()}}, repo.StageOptions{})
		})
	}
	publish(func(p *repo.Published) (*repo.Change, error) {
		return edit.Renew(r, p, nil, meta.RoleTargets, repo.StageOptions{})
	})
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := add(p, "1.0.3", "edge")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	return sumOf(t, dir)
}

func exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "repository", "root.json"))
	return err == nil
}

// sumOf is one of the names and bytes of repository/ and of the staged change.
func sumOf(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	one := func(file string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, file)
		fmt.Fprintf(&all, "%s %x\n", filepath.ToSlash(rel), sha256.Sum256(data))
	}
	err := filepath.WalkDir(filepath.Join(dir, "repository"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			one(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	one(filepath.Join(dir, "pending", "change.json"))
	return fmt.Sprintf("%x", sha256.Sum256([]byte(all.String())))[:32]
}
