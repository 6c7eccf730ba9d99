package meta_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// A signature is verified before it is kept: agents with go-tuf v0.5.2 give up at a
// wrong one, however many good ones stand beside it. It does not take the place of a
// good one of the same key either.
func TestOnlyGoodSignaturesAreKept(t *testing.T) {
	r, kr := repotest.New(t, true)
	rel, err := r.Timestamp(repo.ReleaseOptions{Expiries: map[string]time.Duration{meta.RoleTimestamp: 30 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := rel.Next()
	if err != nil {
		t.Fatal(err)
	}
	key := d.Keys()[0]
	stranger := kr.Make(t)
	good, byStranger := kr.Over(t, key, d.Payload()), kr.Over(t, stranger, d.Payload())
	flipped := append([]byte(nil), good...)
	flipped[3] ^= 1
	bad := map[string]struct {
		keyID tuf.KeyID
		sig   []byte
	}{
		"of other bytes":           {key.ID, kr.Over(t, key, append(d.Payload(), ' '))},
		"by another key":           {key.ID, byStranger},
		"by a key of another role": {stranger.ID, byStranger},
		"with a bit flipped":       {key.ID, flipped},
		"cut off":                  {key.ID, good[:63]},
		"with something behind it": {key.ID, append(append([]byte(nil), good...), 0)},
		"empty":                    {key.ID, nil},
		"of no key ID":             {tuf.KeyID{}, good},
	}
	refused := func(when string) {
		t.Helper()
		for name, b := range bad {
			var e *meta.SignatureError
			if err := d.AddSignature(b.keyID, b.sig); !errors.As(err, &e) {
				t.Errorf("%s, a signature %s: %v, want a SignatureError", when, name, err)
			}
		}
	}
	refused("before a good one")
	if d.Met() || d.Signed(key.ID) || d.Signed(stranger.ID) {
		t.Fatal("one of them was kept")
	}
	if err := d.AddSignature(key.ID, good); err != nil {
		t.Fatal(err)
	}
	refused("after a good one")
	if !d.Met() {
		t.Fatal("the good one went")
	}
	kr.SignAndCommit(t, r, rel)
	repotest.Load(t, r)
}

// Clients look for a signature under its key's ID, so one under another ID counts for
// nothing, good as it may be.
func TestSignatureCountsUnderItsKeyIDOnly(t *testing.T) {
	r, _ := repotest.New(t, true)
	p := repotest.Load(t, r)
	file := filepath.Join(r.Dir(), "repository", "timestamp.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, other := p.Root.Keys(meta.RoleTimestamp)[0].ID, p.Root.Keys(meta.RoleSnapshot)[0].ID
	moved := bytes.ReplaceAll(data, []byte(id.String()), []byte(other.String()))
	if bytes.Equal(moved, data) {
		t.Fatal("the key ID is not in the file")
	}
	if err := os.WriteFile(file, moved, 0o600); err != nil {
		t.Fatal(err)
	}
	var e *meta.FileError
	if _, err := r.LoadOnline(); !errors.As(err, &e) || e.File != "repository/timestamp.json" {
		t.Errorf("%v, want a FileError for repository/timestamp.json", err)
	}
}
