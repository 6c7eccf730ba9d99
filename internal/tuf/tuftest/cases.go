// Package tuftest has metadata as nobody honest writes it, for the tests of every package
// that reads some: each has to take and to refuse the same.
package tuftest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// ID and Other are key IDs.
var (
	ID    = strings.Repeat("0a", 32)
	Other = strings.Repeat("0b", 32)
)

// ed25519Hex is a public key; any 32 bytes are one.
var ed25519Hex = strings.Repeat("17", 32)

// Case is a file of a role, and whether it may be read.
type Case struct {
	Name string
	Role string
	Data []byte
	OK   bool
}

// Root is a root with one Ed25519 key, ID, for all roles; its signature is none.
func Root() []byte { return rootWith(key("ed25519", "ed25519", ed25519Hex)) }

// Cases gives all of them.
func Cases(t testing.TB) []Case {
	t.Helper()
	return append(append(keys(t), roots()...), append(envelopes(), listings()...)...)
}

func key(typ, scheme, public string) string {
	return fmt.Sprintf(`{"keyid_hash_algorithms":["sha256","sha512"],"keytype":%q,"keyval":{"public":%q},"scheme":%q}`, typ, public, scheme)
}

func rootWith(object string) []byte {
	return root(fmt.Sprintf(`{%q:%s}`, ID, object), roles(role(1, ID)))
}

func role(threshold int, ids ...string) string {
	return fmt.Sprintf(`{"keyids":["%s"],"threshold":%d}`, strings.Join(ids, `","`), threshold)
}

// roles gives all four the same keys, and more.
func roles(each string, more ...string) string {
	var list []string
	for _, name := range []string{"root", "targets", "snapshot", "timestamp"} {
		list = append(list, fmt.Sprintf("%q:%s", name, each))
	}
	return "{" + strings.Join(append(list, more...), ",") + "}"
}

func root(keys, roles string) []byte {
	return envelope(signature(ID), fmt.Sprintf(
		`{"_type":"root","consistent_snapshot":true,"expires":"2030-01-01T00:00:00Z","keys":%s,"roles":%s,"spec_version":"1.0","version":1}`, keys, roles))
}

func signature(id string) string { return fmt.Sprintf(`{"keyid":%q,"sig":"00"}`, id) }

func envelope(signatures, signed string) []byte {
	return fmt.Appendf(nil, `{"signatures":[%s],"signed":%s}`, signatures, signed)
}

func spki(t testing.TB, pub crypto.PublicKey, typ string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

func keys(t testing.TB) []Case {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A modulus is enough to be read; to make keys takes long.
	long, short := modulus(2048), modulus(1024)
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(long)}))
	longPEM := spki(t, long, "PUBLIC KEY")
	const ec, pss = "ecdsa-sha2-nistp256", "rsassa-pss-sha256"
	var out []Case
	for _, c := range []struct {
		name, object string
		ok           bool
	}{
		{"Ed25519", key("ed25519", "ed25519", ed25519Hex), true},
		{"Ed25519 of 31 bytes", key("ed25519", "ed25519", ed25519Hex[2:]), false},
		{"Ed25519 that is no hex", key("ed25519", "ed25519", "zz"+ed25519Hex[2:]), false},
		{"Ed25519 as PEM", key("ed25519", "ed25519", spki(t, p256.Public(), "PUBLIC KEY")), false},
		{"Ed25519 with the scheme of another", key("ed25519", ec, ed25519Hex), false},
		{"P-256", key(ec, ec, spki(t, p256.Public(), "PUBLIC KEY")), true},
		{"P-256 with keytype ecdsa", key("ecdsa", ec, spki(t, p256.Public(), "PUBLIC KEY")), false},
		{"P-256 with scheme ecdsa", key(ec, "ecdsa", spki(t, p256.Public(), "PUBLIC KEY")), false},
		{"P-256 in PEM of another type", key(ec, ec, spki(t, p256.Public(), "EC PUBLIC KEY")), false},
		{"P-256 in PEM without a type", key(ec, ec, spki(t, p256.Public(), "")), false},
		{"P-256 as hex", key(ec, ec, ed25519Hex), false},
		{"P-384", key(ec, ec, spki(t, p384.Public(), "PUBLIC KEY")), false},
		{"P-256 that is RSA", key(ec, ec, longPEM), false},
		{"PEM of nothing", key(ec, ec, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"), false},
		{"RSA of 2048 bits", key("rsa", pss, longPEM), true},
		{"RSA of 1024 bits", key("rsa", pss, spki(t, short, "PUBLIC KEY")), false},
		{"RSA in PKCS#1", key("rsa", pss, pkcs1), false},
		{"RSA with PKCS#1 v1.5", key("rsa", "rsa-pkcs1v15-sha256", longPEM), false},
		{"RSA that is P-256", key("rsa", pss, spki(t, p256.Public(), "PUBLIC KEY")), false},
		{"an unknown kind", key("sphincs", "sphincs", ed25519Hex), false},
		{"no kind", "{}", false},
		{"null", "null", false},
		{"no object", "[]", false},
	} {
		out = append(out, Case{"key: " + c.name, "root", rootWith(c.object), c.ok})
	}
	return out
}

// modulus is an RSA key of that many bits that nobody can use.
func modulus(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

func roots() []Case {
	object := key("ed25519", "ed25519", ed25519Hex)
	one := fmt.Sprintf(`{%q:%s}`, ID, object)
	twice := fmt.Sprintf(`{%q:%s,%q:%s}`, ID, object, Other, object)
	both := fmt.Sprintf(`{%q:%s,%q:%s}`, ID, object, Other, key("ed25519", "ed25519", strings.Repeat("18", 32)))
	var out []Case
	for _, c := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"two of two keys", root(both, roles(role(2, ID, Other))), true},
		{"a role that nobody knows", root(one, roles(role(1, ID), `"mirrors":`+role(1, ID))), true},
		{"a role that nobody knows, with something else than a key ID", root(one, roles(role(1, ID), `"mirrors":`+role(1, "../x"))), false},
		{"no threshold", root(one, roles(role(0, ID))), false},
		{"a threshold below zero", root(one, roles(role(-1, ID))), false},
		{"a threshold above the keys", root(one, roles(role(2, ID))), false},
		{"a threshold met by one key under two IDs", root(twice, roles(role(2, ID, Other))), false},
		{"a threshold met by one ID twice", root(one, roles(role(2, ID, ID))), false},
		{"a key that is not listed", root(one, roles(role(1, Other))), false},
		{"no timestamp role", root(one, `{"root":`+role(1, ID)+`,"targets":`+role(1, ID)+`,"snapshot":`+role(1, ID)+`}`), false},
		{"a role that is null", root(one, strings.Replace(roles(role(1, ID)), `"targets":`+role(1, ID), `"targets":null`, 1)), false},
		{"no roles", root(one, `{}`), false},
		{"no keys", root(`{}`, roles(role(1, ID))), false},
		{"a key ID in upper case", root(strings.ToUpper(one[:66])+one[66:], roles(role(1, ID))), false},
	} {
		out = append(out, Case{"root: " + c.name, "root", c.data, c.ok})
	}
	return out
}
