package repo_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// One writer at a time: the second waits, and says whom it waited for.
func TestLockIsForOne(t *testing.T) {
	r, _ := repotest.New(t, true) // holds it
	var e *repo.LockedError
	if _, err := r.Lock(t.Context(), "second", 50*time.Millisecond); !errors.As(err, &e) || !strings.Contains(e.Holder, "test") {
		t.Errorf("%v, want a LockedError that names the holder", err)
	}
	// The holder's name is written over that of the one before, who may have a longer one.
	other := repo.Open(t.TempDir(), repo.Options{})
	for _, name := range []string{"a-command-with-a-long-name", "add"} {
		l, err := other.Lock(t.Context(), name, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%s (process %d)", name, os.Getpid())
		if _, err := other.Lock(t.Context(), "second", 0); !errors.As(err, &e) || e.Holder != want {
			t.Errorf("%v, want %q as the holder", err, want)
		}
		l.Unlock()
	}
}

// A new root is signed by the keys of the root before it too: agents that trust that
// one follow by nothing else.
func TestNewRootNeedsOldKeys(t *testing.T) {
	r, kr := repotest.New(t, true)
	p := repotest.Load(t, r)
	old, fresh := p.Root.Keys(meta.RoleRoot)[0], kr.Make(t)
	c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleRoot, Set: []meta.Key{fresh}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := c.Doc(meta.RoleRoot)
	for _, k := range []meta.Key{fresh, old} {
		if d.Met() {
			t.Fatal("one of the two keys is enough")
		}
		if err := d.AddSignature(k.ID, kr.Over(t, k, d.Payload())); err != nil {
			t.Fatal(err)
		}
	}
	if !d.Met() {
		t.Errorf("both keys signed: %v", d.Short())
	}
}
