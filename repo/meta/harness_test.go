package meta_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// keyring holds keys in memory.
type keyring map[tuf.KeyID]ed25519.PrivateKey

func (kr keyring) make(t testing.TB) meta.Key {
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

// sign signs a document with every key that it misses and that is here.
func (kr keyring) sign(t testing.TB, d *meta.Doc) {
	t.Helper()
	for _, k := range d.Missing() {
		if kr[k.ID] == nil {
			continue
		}
		sig, err := wiresig.Sign(kr[k.ID], d.Payload())
		if err == nil {
			err = d.AddSignature(k.ID, sig)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// next is when what the tests sign expires.
func next() time.Time { return time.Now().Add(24 * time.Hour) }

// newRoot makes a root of one key a role; root itself has so many keys, and needs all.
func (kr keyring) newRoot(t testing.TB, version int64, rootKeys ...meta.Key) *meta.Root {
	t.Helper()
	root := meta.NewRoot(true)
	for _, role := range meta.Roles() {
		keys := []meta.Key{kr.make(t)}
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
func (kr keyring) file(t testing.TB, root *meta.Root, by ...*meta.Root) json.RawMessage {
	t.Helper()
	d := doc(t, root, by...)
	kr.sign(t, d)
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edited gives metadata with its signed part edited, signed by exactly these keys.
func (kr keyring) edited(t testing.TB, raw json.RawMessage, edit func(signed map[string]any), keys ...meta.Key) json.RawMessage {
	t.Helper()
	var env struct {
		Signed map[string]any `json:"signed"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&env); err != nil {
		t.Fatal(err)
	}
	edit(env.Signed)
	payload, err := cjson.EncodeCanonical(env.Signed)
	if err != nil {
		t.Fatal(err)
	}
	var sigs []tuf.Signature
	for _, k := range keys {
		sig, err := wiresig.Sign(kr[k.ID], payload)
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, tuf.Signature{KeyID: k.ID, Sig: hex.EncodeToString(sig)})
	}
	out, err := json.Marshal(map[string]any{"signatures": sigs, "signed": env.Signed})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(map[string]any) {}

func setTo(field string, value any) func(map[string]any) {
	return func(signed map[string]any) { signed[field] = value }
}
