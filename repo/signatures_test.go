package repo_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestWhoMaySignARoot: a new root needs the threshold of the published root and its own.
func TestWhoMaySignARoot(t *testing.T) {
	r, kr := repotest.New(t, true)
	p := repotest.Load(t, r)
	old := p.Root.Keys("root")[0]
	fresh := []meta.Key{kr.Make(t), kr.Make(t)}
	c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: "root", Set: fresh, Threshold: 2}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := c.Doc("root")
	for _, step := range []struct {
		key meta.Key
		met bool
	}{{fresh[0], false}, {fresh[1], false}, {old, true}} {
		if d.Met() {
			t.Fatalf("met before key %s signed", step.key.ShortID())
		}
		if _, err := r.Release(p, c, repo.ReleaseOptions{}); !errors.Is(err, meta.ErrShort) {
			t.Fatalf("Release with signatures missing: %v", err)
		}
		if err := d.AddSignature(step.key.ID, kr.Over(t, step.key, d.Payload())); err != nil {
			t.Fatal(err)
		}
		if d.Met() != step.met {
			t.Errorf("after key %s: met %v; want %v", step.key.ShortID(), d.Met(), step.met)
		}
	}
}

// TestStagedChangeStaysOnItsBase: what was made on root or targets that are not
// published any more is never signed or committed.
func TestStagedChangeStaysOnItsBase(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, r *repo.Repo, kr repotest.Keyring){
		"a root was published": func(t *testing.T, r *repo.Repo, kr repotest.Keyring) {
			kr.RotateTo(t, r, edit.Rotation{Role: "snapshot", Set: []meta.Key{kr.Make(t)}})
		},
		"targets were published": func(t *testing.T, r *repo.Repo, kr repotest.Keyring) {
			repotest.Add(t, r, kr, "two", meta.Item{Name: "orbit", Platform: "linux", Version: "2.0.0"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, kr := repotest.New(t, true)
			p := repotest.Load(t, r)
			c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: "targets", Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.Docs() {
				kr.Sign(t, d)
			}
			meanwhile(t, r, kr)
			if err := r.Save(c); err != nil {
				t.Fatal(err)
			}
			now := repotest.Load(t, r)
			moved := func(what string, err error) {
				t.Helper()
				var refused *meta.RefusedError
				if !errors.As(err, &refused) || refused.Kind != meta.PublishedMoved {
					t.Errorf("%s: %v; want published-moved", what, err)
				}
			}
			_, err = r.Staged(now)
			moved("Staged", err)
			moved("CheckRelease", r.CheckRelease(now, c, repo.ReleaseOptions{}))
			_, err = r.Release(now, c, repo.ReleaseOptions{})
			moved("Release", err)
		})
	}
}

// TestTimestampsGoOnWhileAChangeWaits: a change waits a week for its second holder.
func TestTimestampsGoOnWhileAChangeWaits(t *testing.T) {
	r, kr := repotest.New(t, true)
	p := repotest.Load(t, r)
	c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: "targets", Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		rel, err := r.Timestamp(repo.ReleaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kr.SignAndCommit(t, r, rel)
	}
	p = repotest.Load(t, r)
	staged, err := r.Staged(p)
	if err != nil {
		t.Fatal(err)
	}
	kr.Publish(t, r, p, staged)
	if got := repotest.Load(t, r).Timestamp.Version(); got != 5 {
		t.Errorf("timestamp v%d; want v5: three while it waited, and one over it", got)
	}
}
