package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

func TestRefusals(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		r.Targets["a/b"] = []byte("b")
		r.Commit()
		ledger := filepath.Join(t.TempDir(), "ledger.json")
		o := options(r)
		o.Ledger = ledger
		publish(t, s, o)
		before := snapshotOf(t, s)
		refuse := func(what string, o Options, want error) {
			t.Helper()
			if _, err := MakePlan(t.Context(), s, o); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			if now := snapshotOf(t, s); now != before {
				t.Errorf("%s: the store has changed", what)
			}
		}
		behind := r.Clone()
		r.Targets["a/c"] = []byte("c")
		r.Commit()
		publish(t, s, o)
		before = snapshotOf(t, s)
		refuse("an older repository", options(behind), ErrAhead)
		behind.Targets["a/x"] = []byte("x")
		behind.Commit()
		refuse("the same version with other content", options(behind), ErrDiverged)
		behind.Commit()
		bo := options(behind)
		bo.Ledger = filepath.Join(t.TempDir(), "ledger.json")
		if err := os.WriteFile(bo.Ledger, []byte(`{"schema":1,"snapshots":[{"version":1,"hashes":{"sha512":"00"}}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		refuse("a higher version over a colleague's", bo, ErrDiverged)

		torn := r.Clone()
		torn.CommitWithoutTimestamp()
		refuse("no timestamp over the newest snapshot", options(torn), ErrUncovered)
		broken := r.Clone()
		broken.Write("targets.json", []byte("{}"))
		refuse("broken targets", options(broken), ErrInconsistent)
		lacking := r.Clone()
		lacking.Targets["a/lost"] = []byte("lost")
		lacking.Commit()
		if err := os.RemoveAll(filepath.Join(lacking.Dir, "targets")); err != nil {
			t.Fatal(err)
		}
		var missing *ContentMissingError
		_, err := MakePlan(t.Context(), s, options(lacking))
		if !errors.As(err, &missing) || len(missing.Names) != 1 {
			t.Errorf("content that is nowhere: %v", err)
		}
		ahead := r.Clone()
		ahead.Root()
		ahead.Timestamp()
		publish(t, s, options(ahead))
		before = snapshotOf(t, s)
		refuse("an older root", options(r), ErrAhead)
	})
}

// TestTimestampTellsWhatTheCopyDoesNot: with consistent snapshots the unversioned copy of
// the snapshot may be missing or old; clients go by what timestamp.json names, and so does
// the refusal.
func TestTimestampTellsWhatTheCopyDoesNot(t *testing.T) {
	r := repotest.New(t, true)
	s := openTest(t, "file://"+t.TempDir(), OpenOptions{})
	publish(t, s, options(r))
	behind := r.Clone()
	r.Targets["a/c"] = []byte("c")
	r.Commit()
	publish(t, s, options(r))
	for _, name := range []string{"snapshot.json", "targets.json", "2.snapshot.json", "2.targets.json"} {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := MakePlan(t.Context(), s, options(behind)); !errors.Is(err, ErrAhead) {
		t.Errorf("an older repository: %v, want %v", err, ErrAhead)
	}
	behind.Targets["a/x"] = []byte("x")
	behind.Commit()
	if _, err := MakePlan(t.Context(), s, options(behind)); !errors.Is(err, ErrDiverged) {
		t.Errorf("the same version with other content: %v, want %v", err, ErrDiverged)
	}
}

// A file whose name says its version is never written over, whether a colleague's
// publish that did not come to its end left it there before the plan or after it.
func TestFrozenFilesStay(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		r := repotest.New(t, true)
		r.Commit()
		publish(t, s, options(r))
		r.Targets["a/b"] = []byte("b")
		r.Root()
		r.Commit()
		for _, role := range []string{roleTargets, roleSnapshot, roleRoot} {
			name := versioned(int64(r.Version[role]), role+".json")
			plan, err := MakePlan(t.Context(), s, options(r))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := PutBytes(t.Context(), s, name, []byte(`{"theirs":1}`), PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := MakePlan(t.Context(), s, options(r)); err == nil {
				t.Errorf("%s: planned over a colleague's", name)
			}
			_, err = plan.Publish(t.Context())
			if !errors.Is(err, ErrDiverged) {
				t.Errorf("%s: %v, want %v", name, err, ErrDiverged)
			}
			if o, err := Get(t.Context(), s, name, 100); err != nil || string(o.Data) != `{"theirs":1}` {
				t.Errorf("%s was written over (%v)", name, err)
			}
			if err := s.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// In the flat layout names are written over, but only what the plan has seen there:
// else two people's releases would mix.
func TestFlatFilesChangedMeanwhile(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		r := repotest.New(t, false)
		r.Commit()
		publish(t, s, options(r))
		r.Targets["a/b"] = []byte("b")
		r.Commit()
		plan, err := MakePlan(t.Context(), s, options(r))
		if err != nil {
			t.Fatal(err)
		}
		timestamp, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := PutBytes(t.Context(), s, "targets.json", []byte(`{"theirs":1}`), PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := plan.Publish(t.Context()); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%v, want %v", err, ErrPrecondition)
		}
		if o, err := Get(t.Context(), s, "targets.json", 100); err != nil || string(o.Data) != `{"theirs":1}` {
			t.Errorf("targets.json was written over (%v)", err)
		}
		if o, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp); err != nil || !bytes.Equal(o.Data, timestamp.Data) {
			t.Errorf("a timestamp went out over it (%v)", err)
		}
	})
}

// TestNewerTimestamp: the online signer has renewed the timestamp meanwhile.
func TestNewerTimestamp(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		publish(t, s, options(r))
		stale := r.Clone()
		r.Timestamp()
		publish(t, s, options(r))
		if p, err := MakePlan(t.Context(), s, options(stale)); err != nil || !p.KeepTimestamp || len(p.Items) != 0 {
			t.Errorf("an older timestamp over the published snapshot: %+v, %v", p, err)
		}
		stale.Commit()
		if r.Consistent {
			res, _ := publish(t, s, options(stale))
			if !res.TimestampLeft || res.Files == 0 {
				t.Errorf("a release beside a newer timestamp: %+v", res)
			}
			if o, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp); err != nil || string(o.Data) != string(r.Read("timestamp.json")) {
				t.Errorf("the newer timestamp was overwritten: %v", err)
			}
			return
		}
		if _, err := MakePlan(t.Context(), s, options(stale)); !errors.Is(err, ErrStaleTimestamp) {
			t.Errorf("a release beside a newer timestamp: %v", err)
		}
	})
}

// snapshotOf is all of a store in one string.
func snapshotOf(t *testing.T, s Store) string {
	t.Helper()
	var all []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		o, err := Get(t.Context(), s, info.Name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Name+" "+string(o.Data))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestVerifyComesFirst(t *testing.T) {
	r := repotest.New(t, true)
	want := errors.New("expired")
	o := options(r)
	o.Verify = func(context.Context) error { return want }
	if _, err := MakePlan(t.Context(), openTest(t, "file:///nonexistent/x", OpenOptions{}), o); !errors.Is(err, want) {
		t.Error(err)
	}
}

func TestChangedContentIsNotSent(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		for name, data := range map[string][]byte{"b": []byte("right"), "large": bytes.Repeat([]byte("x"), inMemory+1)} {
			// Alone: a file that the first round happened to send whole is in the store, and
			// what it became here since would rightly not be looked at.
			clear(r.Targets)
			r.Targets["a/"+name] = data
			r.Commit()
			found, err := filepath.Glob(filepath.Join(r.Dir, "targets/a/*"+name))
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			evil := append([]byte("y"), data[1:]...)
			if err := os.WriteFile(found[0], evil, 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := MakePlan(t.Context(), s, options(r))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Publish(t.Context()); !errors.Is(err, ErrInconsistent) {
				t.Errorf("%s was published with other bytes: %v", name, err)
			}
			if _, err := s.Stat(t.Context(), "timestamp.json"); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a timestamp over it too")
			}
			if err := os.WriteFile(found[0], data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		publish(t, s, options(r))
	})
}
