package meta_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// next is when what the tests sign expires.
func next() time.Time { return time.Now().Add(24 * time.Hour) }

// newRoot makes a root of one key a role; root itself has so many keys, and needs all.
func newRoot(t testing.TB, kr repotest.Keyring, version int64, rootKeys ...meta.Key) *meta.Root {
	t.Helper()
	root := meta.NewRoot(true)
	for _, role := range meta.Roles() {
		keys := []meta.Key{kr.Make(t)}
		if role == meta.RoleRoot {
			keys = rootKeys
		}
		if err := root.SetKeys(role, keys, len(keys)); err != nil {
			t.Fatal(err)
		}
	}
	root.Renumber(version, next())
	return root
}

// doc makes a document of a root, to be signed by the keys of roots.
func doc(t testing.TB, root *meta.Root, by ...*meta.Root) *meta.Doc {
	t.Helper()
	signed, err := root.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d := meta.NewDoc(meta.RoleRoot, root.Version(), root.Expires(), meta.NewEnvelope(signed))
	var sets []meta.KeySet
	for _, r := range by {
		sets = append(sets, r.Signers(meta.RoleRoot))
	}
	d.SignWith(sets...)
	return d
}

// file is a root, signed by the keys of roots that are here.
func file(t testing.TB, kr repotest.Keyring, root *meta.Root, by ...*meta.Root) json.RawMessage {
	t.Helper()
	d := doc(t, root, by...)
	kr.Sign(t, d)
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
