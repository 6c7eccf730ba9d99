package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestNotedVersionsAreNotSignedAgain: what a log outside of the folder says was signed
// counts, if a key of the role signed it and the number is one that can be reached.
func TestNotedVersionsAreNotSignedAgain(t *testing.T) {
	t.Parallel()
	kept, kr := repotest.New(t, true)
	p := repotest.Load(t, kept)
	key := func(role string) tuf.KeyID { return p.Root.Keys(role)[0].ID }
	for name, noted := range map[string]struct {
		repo.Noted
		want int64
	}{
		"ours":                  {repo.Noted{Role: meta.RoleTimestamp, Version: 9, KeyID: key(meta.RoleTimestamp)}, 10},
		"of another repository": {repo.Noted{Role: meta.RoleTimestamp, Version: 9, KeyID: key(meta.RoleSnapshot)}, 2},
		"of another role":       {repo.Noted{Role: meta.RoleSnapshot, Version: 9, KeyID: key(meta.RoleSnapshot)}, 2},
		"out of reach":          {repo.Noted{Role: meta.RoleTimestamp, Version: tuf.MaxVersion, KeyID: key(meta.RoleTimestamp)}, 2},
	} {
		r := repo.Open(repotest.Clone(t, kept).Dir(), repo.Options{Noted: func() ([]repo.Noted, error) { return []repo.Noted{noted.Noted}, nil }})
		repotest.Stamp(t, r, kr)
		if v := repotest.Load(t, r).Timestamp.Version(); v != noted.want {
			t.Errorf("%s: the next timestamp is v%d, not v%d", name, v, noted.want)
		}
	}
	r := repo.Open(repotest.Clone(t, kept).Dir(), repo.Options{Noted: func() ([]repo.Noted, error) {
		return []repo.Noted{{Role: meta.RoleRoot, Version: 2, KeyID: key(meta.RoleRoot)}}, nil
	}})
	var refused *meta.RefusedError
	if err := repotest.Renew(r, kr, meta.RoleRoot); !errors.As(err, &refused) || refused.Kind != meta.VersionRegress {
		t.Errorf("a root v2 that was published already: %v", err)
	}
}

// TestStagedNumberThatWasNoted: a change was staged, and the log says that its number has
// been signed since.
func TestStagedNumberThatWasNoted(t *testing.T) {
	t.Parallel()
	r, kr := repotest.New(t, true)
	_, c, err := repotest.Put(t, r, "one", repotest.Item("1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	p := repotest.Load(t, r)
	before := repotest.CopyWeb(t, r)
	r = repo.Open(r.Dir(), repo.Options{Noted: func() ([]repo.Noted, error) {
		return []repo.Noted{{Role: meta.RoleTargets, Version: 2, KeyID: p.Root.Keys(meta.RoleTargets)[0].ID}}, nil
	}})
	if c, err = r.Staged(p); err != nil {
		t.Fatal(err)
	}
	var refused *meta.RefusedError
	if err := kr.Try(r, p, c); !errors.As(err, &refused) || refused.Kind != meta.PublishedMoved {
		t.Errorf("targets v2 is published a second time: %v", err)
	}
	before.Unchanged(t, r)
}

// TestRememberTimestamp: the next timestamp is above one that lies in a store, if a key
// of ours signed that.
func TestRememberTimestamp(t *testing.T) {
	t.Parallel()
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		elsewhere := repotest.Clone(t, r)
		for range 4 {
			repotest.Stamp(t, elsewhere, kr)
		}
		other, _ := repotest.New(t, consistent)
		if err := r.RememberTimestamp(timestampOf(t, other)); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("another repository's: %v", err)
		}
		repotest.Rotate(t, r, kr, meta.RoleTimestamp) // the store's is signed by the key before
		if err := r.RememberTimestamp(timestampOf(t, elsewhere)); err != nil {
			t.Fatal(err)
		}
		repotest.Stamp(t, r, kr)
		if v := repotest.Load(t, r).Timestamp.Version(); v != 6 {
			t.Errorf("the next timestamp is v%d, not v6", v)
		}
		repotest.Judge(t, r)
	})
}

func timestampOf(t *testing.T, r *repo.Repo) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.Dir(), "repository", "timestamp.json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
