package meta_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestWhoCounts: a threshold is met by so many public keys that are the role's, whatever
// they are called.
func TestWhoCounts(t *testing.T) {
	kr := repotest.Keyring{}
	a, b, stranger := kr.Make(t), kr.Make(t), kr.Make(t)
	first := newRoot(t, kr, 1, a, b)
	root := file(t, kr, first, first)
	if _, err := meta.ReadRoot("root.json", root); err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("0", 64)
	twoNames := func(signed map[string]any) {
		keys := signed["keys"].(map[string]any)
		keys[other] = keys[a.ID.String()]
		role := signed["roles"].(map[string]any)["root"].(map[string]any)
		role["keyids"] = []any{a.ID.String(), other, b.ID.String()}
	}
	underOther := signatureUnder(t, kr.Resign(t, root, twoNames, a.ID, a.ID), 1, other)
	if _, err := meta.ReadRoot("root.json", signatureUnder(t, kr.Resign(t, root, one(twoNames), a.ID, a.ID), 1, other)); err != nil {
		t.Errorf("one of one: %v", err)
	}
	for name, raw := range map[string]json.RawMessage{
		"nobody":                kr.Resign(t, root, repotest.Same),
		"one of two":            kr.Resign(t, root, repotest.Same, a.ID),
		"one of two, twice":     kr.Resign(t, root, repotest.Same, a.ID, a.ID),
		"one, and a stranger":   kr.Resign(t, root, repotest.Same, a.ID, stranger.ID),
		"one key, two key IDs":  underOther,
		"over another version":  swapSigned(t, root, kr.Resign(t, root, repotest.SetTo("version", 2), a.ID, b.ID)),
		"b's under the ID of a": signatureUnder(t, kr.Resign(t, root, repotest.Same, b.ID, b.ID), 0, a.ID.String()),
	} {
		if _, err := meta.ReadRoot("root.json", raw); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// one lowers the threshold of root to one.
func one(edit func(signed map[string]any)) func(signed map[string]any) {
	return func(signed map[string]any) {
		edit(signed)
		signed["roles"].(map[string]any)["root"].(map[string]any)["threshold"] = 1
	}
}

type signedFile struct {
	Signatures []map[string]string `json:"signatures"`
	Signed     json.RawMessage     `json:"signed"`
}

func open(t *testing.T, raw json.RawMessage) (f signedFile) {
	t.Helper()
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f signedFile) raw(t *testing.T) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// signatureUnder puts the n-th signature under another key ID.
func signatureUnder(t *testing.T, raw json.RawMessage, n int, id string) json.RawMessage {
	t.Helper()
	f := open(t, raw)
	f.Signatures[n]["keyid"] = id
	return f.raw(t)
}

// swapSigned gives the signed part of one file the signatures of another.
func swapSigned(t *testing.T, signed, signatures json.RawMessage) json.RawMessage {
	t.Helper()
	f := open(t, signatures)
	f.Signed = open(t, signed).Signed
	return f.raw(t)
}

// TestDropBad: what is kept of a file's signatures is one good one of each key that may
// sign.
func TestDropBad(t *testing.T) {
	kr := repotest.Keyring{}
	a, b, stranger := kr.Make(t), kr.Make(t), kr.Make(t)
	root := newRoot(t, kr, 1, a, b)
	f := open(t, kr.Resign(t, file(t, kr, root, root), repotest.Same, a.ID, a.ID, b.ID, stranger.ID))
	f.Signatures[2]["sig"] = strings.Repeat("00", 64)
	env, err := meta.ParseEnvelope(f.raw(t))
	if err != nil {
		t.Fatal(err)
	}
	d := meta.NewDoc(meta.RoleRoot, 1, root.Expires(), env)
	d.SignWith(root.Signers(meta.RoleRoot))
	if dropped := d.DropBad(); !slices.Equal(dropped, []tuf.KeyID{a.ID, b.ID, stranger.ID}) {
		t.Errorf("dropped %v", dropped)
	}
	if !d.Signed(a.ID) || d.Signed(b.ID) || d.Signed(stranger.ID) || d.Met() {
		t.Errorf("kept: %+v", d.Tallied())
	}
	if short := d.Short(); short == nil || short.Have != 1 || short.Need != 2 || !slices.Equal(meta.IDs(short.Missing), []tuf.KeyID{b.ID}) {
		t.Errorf("short of %+v", short)
	}
}

// TestAddSignature: a signature is kept if it verifies with a key that may sign, under that
// key's ID, in the place of an earlier one.
func TestAddSignature(t *testing.T) {
	kr := repotest.Keyring{}
	a, b, stranger := kr.Make(t), kr.Make(t), kr.Make(t)
	root := newRoot(t, kr, 1, a, b)
	d := doc(t, root, root)
	good, err := wiresig.Sign(kr[a.ID], d.Payload())
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]tuf.KeyID{"another's ID": b.ID, "a stranger's ID": stranger.ID} {
		var se *meta.SignatureError
		if err := d.AddSignature(id, good); !errors.As(err, &se) || se.KeyID != id {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		if err := d.AddSignature(a.ID, good); err != nil {
			t.Fatal(err)
		}
	}
	b1, err := d.Bytes()
	if err != nil || strings.Count(string(b1), hex.EncodeToString(good)) != 1 {
		t.Errorf("%s (%v)", b1, err)
	}
}

// TestMergeOfDocuments: what two copies bring together does not depend on the order.
func TestMergeOfDocuments(t *testing.T) {
	kr := repotest.Keyring{}
	a, b := kr.Make(t), kr.Make(t)
	root := newRoot(t, kr, 1, a, b)
	copyOf := func(k meta.Key) *meta.Doc {
		d := doc(t, root, root)
		repotest.Keyring{k.ID: kr[k.ID]}.Sign(t, d)
		return d
	}
	one, two := copyOf(a), copyOf(b)
	m := one.Merge(copyOf(b))
	if !slices.Equal(m.Added, []tuf.KeyID{b.ID}) || len(m.Known) > 0 {
		t.Errorf("%+v", m)
	}
	if m := two.Merge(copyOf(a)); len(m.Added) != 1 {
		t.Errorf("%+v", m)
	}
	if m := two.Merge(one); len(m.Added) > 0 || len(m.Known) != 2 {
		t.Errorf("%+v", m)
	}
	x, errX := one.Bytes()
	y, errY := two.Bytes()
	if errX != nil || errY != nil || string(x) != string(y) || !one.Met() {
		t.Errorf("%s\n%s\n%v %v", x, y, errX, errY)
	}
}

// TestTheSmallerSignatureStays: ECDSA signs differently each time, and of two good signatures
// of one key both copies keep the same one.
func TestTheSmallerSignatureStays(t *testing.T) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := meta.NewKey(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(t, repotest.Keyring{}, 1, k)
	sign := func() []byte {
		sig, err := wiresig.Sign(priv, doc(t, root, root).Payload())
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	merged := func(mine, theirs []byte) string {
		one, two := doc(t, root, root), doc(t, root, root)
		if err := errors.Join(one.AddSignature(k.ID, mine), two.AddSignature(k.ID, theirs)); err != nil {
			t.Fatal(err)
		}
		one.Merge(two)
		b, err := one.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	a, b := sign(), sign()
	if x, y := merged(a, b), merged(b, a); x != y {
		t.Errorf("%s\n%s", x, y)
	}
}

// TestFollowsRoot: the next root has the next number and the signatures of both.
func TestFollowsRoot(t *testing.T) {
	kr := repotest.Keyring{}
	a, b := kr.Make(t), kr.Make(t)
	first := newRoot(t, kr, 1, a)
	second, third := newRoot(t, kr, 2, b), newRoot(t, kr, 3, b)
	before := file(t, kr, first, first)
	for name, c := range map[string]struct {
		after json.RawMessage
		ok    bool
	}{
		"the same":               {before, true},
		"the next, signed twice": {file(t, kr, second, first, second), true},
		"not by the one before":  {file(t, kr, second, second), false},
		"not by itself":          {file(t, kr, second, first), false},
		"one is left out":        {file(t, kr, third, first, third), false},
		"another of its number":  {file(t, kr, newRoot(t, kr, 1, a), first), false},
	} {
		if err := meta.FollowsRoot(before, c.after); (err == nil) != c.ok || err != nil && !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := meta.Accepts(before, meta.RoleRoot, file(t, kr, second, second)); err == nil {
		t.Error("a root of other keys is accepted")
	}
}
