package meta_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// rsaKey is a public key of so many bits; nobody signs with it.
func rsaKey(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &k.PublicKey
}

func spki(t *testing.T, kind string, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestNewKey: the forms that go-tuf v0.5.2, v0.7 and v2 all take, and no other key
// (COMPAT 1.4): one that agents refuse stops every one of them.
func TestNewKey(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agree, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pub         crypto.PublicKey
		typ, scheme string // "" if it is refused
	}{
		"Ed25519":  {ed, "ed25519", "ed25519"},
		"P-256":    {ecKey(t, elliptic.P256()), "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
		"RSA 2048": {rsaKey(2048), "rsa", "rsassa-pss-sha256"},
		"RSA 3072": {rsaKey(3072), "rsa", "rsassa-pss-sha256"},
		"RSA 4096": {rsaKey(4096), "rsa", "rsassa-pss-sha256"},
		"RSA 1024": {pub: rsaKey(1024)},
		"RSA 2047": {pub: rsaKey(2047)},
		"RSA 8192": {pub: rsaKey(8192)},
		"P-384":    {pub: ecKey(t, elliptic.P384())},
		"P-224":    {pub: ecKey(t, elliptic.P224())},
		"X25519":   {pub: agree.PublicKey()},
		"nothing":  {},
	} {
		k, err := meta.NewKey(c.pub)
		if (err == nil) != (c.typ != "") || err != nil && !errors.Is(err, meta.ErrKey) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			continue
		}
		again, _ := meta.NewKey(c.pub)
		if k.Type() != c.typ || k.Scheme() != c.scheme || k.ID != again.ID || k.Fingerprint() != again.Fingerprint() {
			t.Errorf("%s: keytype %q, scheme %q, ID %s and %s", name, k.Type(), k.Scheme(), k.ID, again.ID)
		}
	}
}

// TestKeyObjectsInRoot: whatever agents would refuse anywhere in a root, we refuse.
func TestKeyObjectsInRoot(t *testing.T) {
	kr := repotest.Keyring{}
	rootKey := kr.Make(t)
	first := newRoot(t, kr, 1, rootKey)
	root := file(t, kr, first, first)
	ed, p256, rsa2048 := strings.Repeat("ab", 32), spki(t, "PUBLIC KEY", ecKey(t, elliptic.P256())), spki(t, "PUBLIC KEY", rsaKey(2048))
	edPEM, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		typ, scheme, public string
		ok                  bool
	}{
		"Ed25519":                     {"ed25519", "ed25519", ed, true},
		"P-256":                       {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", p256, true},
		"RSA-PSS":                     {"rsa", "rsassa-pss-sha256", rsa2048, true},
		"Ed25519 of 31 bytes":         {"ed25519", "ed25519", ed[2:], false},
		"Ed25519 in PEM":              {"ed25519", "ed25519", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: edPEM})), false},
		"Ed25519 under another type":  {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: edPEM})), false},
		"go-tuf v2's name of P-256":   {"ecdsa", "ecdsa-sha2-nistp256", p256, false},
		"P-384":                       {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", spki(t, "PUBLIC KEY", ecKey(t, elliptic.P384())), false},
		"P-384 under the right name":  {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", spki(t, "PUBLIC KEY", ecKey(t, elliptic.P384())), false},
		"RSA under P-256's name":      {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", rsa2048, false},
		"P-256 under RSA's name":      {"rsa", "rsassa-pss-sha256", p256, false},
		"RSA with PKCS #1 v1.5":       {"rsa", "rsa-pkcs1v15-sha256", rsa2048, false},
		"RSA 1024":                    {"rsa", "rsassa-pss-sha256", spki(t, "PUBLIC KEY", rsaKey(1024)), false},
		"PEM of another type":         {"rsa", "rsassa-pss-sha256", spki(t, "RSA PUBLIC KEY", rsaKey(2048)), false},
		"no PEM":                      {"rsa", "rsassa-pss-sha256", "AAAA", false},
		"PEM of nothing":              {"rsa", "rsassa-pss-sha256", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}})), false},
		"an unknown type":             {"sphincs", "sphincs", ed, false},
		"the right type in capitals":  {"ED25519", "ED25519", ed, false},
		"a scheme of another type":    {"ed25519", "ecdsa-sha2-nistp256", ed, false},
		"a scheme that is not stated": {"ed25519", "", ed, false},
	} {
		raw := kr.Resign(t, root, func(signed map[string]any) {
			signed["keys"].(map[string]any)[strings.Repeat("0", 64)] = map[string]any{
				"keytype": c.typ, "scheme": c.scheme, "keyval": map[string]any{"public": c.public},
			}
		}, rootKey.ID)
		_, err := meta.ReadRoot("root.json", raw)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v; taken should be %v", name, err, c.ok)
		}
	}
	if _, err := meta.ReadRoot("root.json", kr.Resign(t, root, func(signed map[string]any) {
		signed["keys"].(map[string]any)[strings.Repeat("0", 64)] = nil
	}, rootKey.ID)); err == nil {
		t.Error("a key without an object was taken")
	}
}

// TestRootsThatCannotBe: what no client could follow is no root.
func TestRootsThatCannotBe(t *testing.T) {
	kr := repotest.Keyring{}
	rootKey := kr.Make(t)
	first := newRoot(t, kr, 1, rootKey)
	root := file(t, kr, first, first)
	role := func(signed map[string]any, name string) map[string]any {
		return signed["roles"].(map[string]any)[name].(map[string]any)
	}
	for name, edit := range map[string]func(signed map[string]any){
		"another type":              repotest.SetTo("_type", "targets"),
		"no version":                func(s map[string]any) { delete(s, "version") },
		"version 0":                 repotest.SetTo("version", 0),
		"version -1":                repotest.SetTo("version", -1),
		"no expiry":                 func(s map[string]any) { delete(s, "expires") },
		"an expiry that is no time": repotest.SetTo("expires", "next year"),
		"a role is missing":         func(s map[string]any) { delete(s["roles"].(map[string]any), "snapshot") },
		"threshold 0":               func(s map[string]any) { role(s, "targets")["threshold"] = 0 },
		"threshold -1":              func(s map[string]any) { role(s, "targets")["threshold"] = -1 },
		"threshold above the keys":  func(s map[string]any) { role(s, "targets")["threshold"] = 2 },
		"one key named twice for two": func(s map[string]any) {
			ids := role(s, "targets")["keyids"].([]any)
			role(s, "targets")["keyids"], role(s, "targets")["threshold"] = append(ids, ids[0]), 2
		},
		"a key that is not listed": func(s map[string]any) { role(s, "targets")["keyids"] = []any{strings.Repeat("0", 64)} },
		"no keys":                  func(s map[string]any) { role(s, "targets")["keyids"] = []any{} },
	} {
		if _, err := meta.ReadRoot("root.json", kr.Resign(t, root, edit, rootKey.ID)); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := meta.ReadRoot("root.json", kr.Resign(t, root, repotest.Same, rootKey.ID)); err != nil {
		t.Errorf("the same root, signed again: %v", err)
	}
}
