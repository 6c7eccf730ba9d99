package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

func TestPrune(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		r.Targets["a/old"] = []byte("old")
		r.Targets["a/kept"] = []byte("kept")
		r.Commit()
		publish(t, s, options(r))
		delete(r.Targets, "a/old")
		r.Root()
		r.Commit()
		o := options(r)
		o.Prune, o.Grace = true, 24*time.Hour
		res, _ := publish(t, s, o)
		if res.Deleted != 0 {
			t.Errorf("%d files were deleted within the grace period", res.Deleted)
		}
		if _, err := s.Put(t.Context(), "notes.txt", Bytes([]byte("mine")), PutOptions{}); err != nil {
			t.Fatal(err)
		}
		r.Timestamp()
		o.Grace = 0
		p, err := MakePlan(t.Context(), s, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range p.Delete {
			if strings.Contains(it.Name, "root.json") || strings.HasSuffix(it.Name, "kept") || it.Name == "notes.txt" {
				t.Errorf("would delete %q", it.Name)
			}
		}
		want := 1
		if r.Consistent {
			want = 3 // and an old targets and snapshot; version 1 was never published
		}
		if len(p.Delete) != want {
			t.Errorf("would delete %q", names(p.Delete))
		}
		if res, err := p.Publish(t.Context()); err != nil || res.Deleted != want {
			t.Errorf("%+v, %v", res, err)
		}
		for _, name := range []string{"1.root.json", "2.root.json", "notes.txt"} {
			if _, err := s.Stat(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCreateFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := repotest.New(t, true)
	r.Targets["orbit/linux/stable/orbit"] = []byte("content") // is looked at after the upload
	r.Commit()
	_, p := publish(t, openTest(t, "file://"+dir, OpenOptions{}), options(r))
	if !p.Create {
		t.Error("the plan does not say that the folder is new")
	}
	deep := openTest(t, "file://"+filepath.Join(t.TempDir(), "no", "parent"), OpenOptions{})
	if p, err := MakePlan(t.Context(), deep, options(r)); err == nil {
		if _, err := p.Publish(t.Context()); err == nil {
			t.Error("a folder was made below a parent that is absent")
		}
	}
}

func TestProbe(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		for _, f := range Probe(t.Context(), s) {
			if !f.OK {
				t.Errorf("%s: %s", f.Code, f.Text)
			}
		}
		for info := range s.List(t.Context(), "") {
			t.Errorf("left behind: %q", info.Name)
		}
	})
}

// deaf is a store that takes conditions and ignores them.
type deaf struct{ Store }

func (d deaf) Put(ctx context.Context, name string, c Content, o PutOptions) (Info, error) {
	o.Absent, o.Match = false, ""
	return d.Store.Put(ctx, name, c, o)
}

func TestProbeFindsDeafStore(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		bad := map[string]bool{}
		for _, f := range Probe(t.Context(), deaf{s}) {
			if !f.OK {
				bad[f.Code] = errors.Is(f.Err, ErrUnsupported)
			}
		}
		for _, code := range []string{"if-none-match", "if-match", "one-winner"} {
			if !bad[code] {
				t.Errorf("%s was not found out: %v", code, bad)
			}
		}
	})
}
