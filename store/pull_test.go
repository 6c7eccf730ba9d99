package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

func pull(t *testing.T, s Store, o PullOptions) PullResult {
	t.Helper()
	res, err := Pull(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestPull(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		r.Targets["a/b"] = []byte("b")
		r.Root()
		r.Commit()
		publish(t, s, options(r))
		dir := filepath.Join(t.TempDir(), "repository")
		verified := false
		o := PullOptions{Dir: dir, Targets: true, Verify: func(ctx context.Context, get Fetch) error {
			verified = true
			c, err := newClient(get, r.Read("1.root.json"))
			if err == nil {
				err = c.update(ctx)
			}
			return err
		}}
		res := pull(t, s, o)
		if !verified || len(res.Files) == 0 || res.Versions["targets"] != int64(r.Version["targets"]) {
			t.Errorf("%+v, verified %v", res, verified)
		}
		// What was pulled can be published.
		empty := openTest(t, folderURL(t), OpenOptions{})
		publish(t, empty, Options{Dir: dir, ReadBack: readBackWith(r.Read("1.root.json"))})
		if snapshotOf(t, empty) != snapshotOf(t, s) {
			t.Error("what was pulled and published again is not the same")
		}
		if res := pull(t, s, o); len(res.Files) != 0 {
			t.Errorf("a second pull wrote %q", res.Files)
		}
		// Damage is repaired; newer versions come.
		if found, _ := filepath.Glob(filepath.Join(dir, "targets/a/*b")); len(found) != 1 || os.WriteFile(found[0], []byte("x"), 0o600) != nil {
			t.Fatalf("found %q", found)
		}
		if res := pull(t, s, o); len(res.Files) != 1 {
			t.Errorf("repair wrote %q", res.Files)
		}
		r.Targets["a/c"] = []byte("c")
		r.Root()
		r.Commit()
		publish(t, s, options(r))
		pull(t, s, o)
		for _, name := range []string{"root.json", "3.root.json", "targets.json", "snapshot.json", "timestamp.json"} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, r.Read(name)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestPullOverTimestamps: timestamps that were signed here and never published keep
// nobody from the store's state, be it over the same snapshot or a newer one.
func TestPullOverTimestamps(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		publish(t, s, options(r))
		for _, release := range []bool{false, true} {
			behind := r.Clone()
			for range 3 {
				behind.Timestamp()
			}
			if release {
				r.Targets["a/b"] = []byte("b")
				r.Commit()
				publish(t, s, options(r))
			}
			res := pull(t, s, PullOptions{Dir: behind.Dir})
			if res.GaveWay != int64(behind.Version["timestamp"]) || !bytes.Equal(behind.Read("timestamp.json"), r.Read("timestamp.json")) {
				t.Errorf("release %v: %+v", release, res)
			}
			if plan, err := MakePlan(t.Context(), s, options(behind)); err != nil || len(plan.Items) > 0 {
				t.Errorf("release %v: publishing then: %v", release, err)
			}
		}
	})
}

func TestPullRefusals(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		if _, err := Pull(t.Context(), s, PullOptions{Dir: t.TempDir()}); err == nil {
			t.Error("an empty store was pulled")
		}
		publish(t, s, options(r))
		refuse := func(what string, r *repotest.Repo, verify func(context.Context, Fetch) error, want error) {
			t.Helper()
			before := snapshotOf(t, openTest(t, "file://"+r.Dir, OpenOptions{}))
			if _, err := Pull(t.Context(), s, PullOptions{Dir: r.Dir, Verify: verify, Targets: true}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			if snapshotOf(t, openTest(t, "file://"+r.Dir, OpenOptions{})) != before {
				t.Errorf("%s: the repository has changed", what)
			}
		}
		bad := errors.New("signature does not verify")
		refuse("unverified", r.Clone(), func(context.Context, Fetch) error { return bad }, bad)
		newer := r.Clone()
		newer.Commit()
		refuse("older targets", newer, nil, ErrRollback)
		newer = r.Clone()
		newer.Root()
		refuse("older root", newer, nil, ErrRollback)
		other := r.Clone()
		other.Version["targets"]--
		other.Targets["x/y"] = []byte("other")
		other.Commit()
		refuse("other targets of the same version", other, nil, ErrDiverged)
		newer = r.Clone()
		newer.Targets["x/y"] = []byte("not published")
		newer.Commit()
		newer.Version["timestamp"] = 0
		newer.Timestamp()
		refuse("older snapshot under a newer timestamp", newer, nil, ErrRollback)
		newer = r.Clone()
		newer.Commit()
		mine := r.Clone()
		mine.Version["timestamp"]--
		mine.Timestamp()
		if _, err := Pull(t.Context(), s, PullOptions{Dir: mine.Dir}); err != nil {
			t.Errorf("another timestamp of the same version: %v", err)
		}
		if _, err := s.Put(t.Context(), "timestamp.json", Bytes(newer.Read("timestamp.json")), PutOptions{}); err != nil {
			t.Fatal(err)
		}
		r.Snapshot(r.Read("targets.json"))
		r.Timestamp()
		if _, err := s.Put(t.Context(), "timestamp.json", Bytes(r.Read("timestamp.json")), PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Pull(t.Context(), s, PullOptions{Dir: t.TempDir()}); err == nil {
			t.Error("a timestamp without its snapshot was pulled")
		}
	})
}

// A numbered file that lies here keeps its bytes, also where the plain copy is older.
func TestPullKeepsNumberedFiles(t *testing.T) {
	t.Parallel()
	s, r := openTest(t, folderURL(t), OpenOptions{}), repotest.New(t, true)
	publish(t, s, options(r))
	o := PullOptions{Dir: filepath.Join(t.TempDir(), "repository")}
	pull(t, s, o)
	r.Targets["a/c"] = []byte("c")
	r.Commit()
	publish(t, s, options(r))
	for _, role := range []string{"targets", "snapshot"} {
		file := filepath.Join(o.Dir, versioned(int64(r.Version[role]), role+".json"))
		if err := os.WriteFile(file, []byte("ours"), 0o600); err != nil {
			t.Fatal(err)
		}
		var diverged *DivergedError
		if _, err := Pull(t.Context(), s, o); !errors.As(err, &diverged) || diverged.Role != role {
			t.Errorf("%s: %v", role, err)
		}
		if data, err := os.ReadFile(file); err != nil || string(data) != "ours" {
			t.Errorf("%s was written over", filepath.Base(file))
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	pull(t, s, o)
}
