// Package repotest makes small signed TUF repositories in the form of fleetctl for the
// tests of store and online: Ed25519 keys in memory, compact JSON, SHA-512 only. It
// writes like fleetctl would and checks nothing.
package repotest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// Roles are the four roles.
var Roles = []string{"root", "targets", "snapshot", "timestamp"}

// Repo is a repository on disk with its keys.
type Repo struct {
	// Dir is the web root.
	Dir        string
	Consistent bool
	// Keys sign for each role; root lists them all.
	Keys map[string][]ed25519.PrivateKey
	// Elsewhere are more public keys of each role, whose private halves others hold.
	Elsewhere map[string][]crypto.PublicKey
	// Threshold of each role; 1 if absent.
	Threshold map[string]int
	// Expires is when new metadata of a role expires.
	Expires map[string]time.Time
	// Version of each role as last written.
	Version map[string]int
	// Targets are those of the next Commit.
	Targets map[string][]byte
	// Below are files of roles below targets, of version 1, which snapshot names.
	Below map[string][]byte
	// Spare entries are put into targets.json as they are, for size.
	Spare map[string]any

	t testing.TB
}

// New makes a repository at version 1 of each role, with nothing in it.
func New(t testing.TB, consistent bool) *Repo {
	t.Helper()
	r := &Repo{
		Dir: t.TempDir(), Consistent: consistent, t: t, Keys: map[string][]ed25519.PrivateKey{}, Threshold: map[string]int{},
		Expires: map[string]time.Time{}, Version: map[string]int{}, Targets: map[string][]byte{}, Spare: map[string]any{}, Elsewhere: map[string][]crypto.PublicKey{},
	}
	for _, role := range Roles {
		r.Keys[role] = []ed25519.PrivateKey{NewKey(t)}
		r.Expires[role] = time.Now().Add(1000 * time.Hour)
	}
	r.Root()
	r.Commit()
	return r
}

// Clone copies the repository into a folder of its own; the keys stay shared.
func (r *Repo) Clone() *Repo {
	r.t.Helper()
	c := *r
	c.Dir = r.t.TempDir()
	c.Version, c.Targets, c.Keys = maps.Clone(r.Version), maps.Clone(r.Targets), maps.Clone(r.Keys)
	c.Elsewhere = maps.Clone(r.Elsewhere)
	c.Spare, c.Expires, c.Threshold = maps.Clone(r.Spare), maps.Clone(r.Expires), maps.Clone(r.Threshold)
	if err := os.CopyFS(c.Dir, os.DirFS(r.Dir)); err != nil {
		r.t.Fatal(err)
	}
	return &c
}

// NewKey makes an Ed25519 key.
func NewKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// KeyObject is a public key as root lists it: Ed25519, or P-256.
func KeyObject(t testing.TB, pub crypto.PublicKey) map[string]any {
	t.Helper()
	o := map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyid_hash_algorithms": []string{"sha256", "sha512"}}
	if k, ok := pub.(ed25519.PublicKey); ok {
		o["keyval"] = map[string]string{"public": hex.EncodeToString(k)}
		return o
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	o["keytype"], o["scheme"] = "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"
	o["keyval"] = map[string]string{"public": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	return o
}

// KeyID is the key's ID.
func KeyID(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	canonical, err := cjson.EncodeCanonical(KeyObject(t, pub))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

func (r *Repo) head(role string) map[string]any {
	r.Version[role]++
	return map[string]any{
		"_type": role, "spec_version": "1.0", "version": r.Version[role],
		"expires": r.Expires[role].UTC().Truncate(time.Second).Format(time.RFC3339),
	}
}

// Sign gives the file of a signed part.
func (r *Repo) Sign(signed any, keys ...ed25519.PrivateKey) []byte {
	r.t.Helper()
	message, err := cjson.EncodeCanonical(signed)
	if err != nil {
		r.t.Fatal(err)
	}
	sigs := []map[string]string{}
	for _, k := range keys {
		sigs = append(sigs, map[string]string{"keyid": KeyID(r.t, k.Public()), "sig": hex.EncodeToString(ed25519.Sign(k, message))})
	}
	data, err := json.Marshal(map[string]any{"signed": signed, "signatures": sigs})
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

// Write writes a file of the web root.
func (r *Repo) Write(name string, data []byte) {
	r.t.Helper()
	p := filepath.Join(r.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p+".new", data, 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(p+".new", p); err != nil {
		r.t.Fatal(err)
	}
}

// Read reads a file of the web root.
func (r *Repo) Read(name string) []byte {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(name)))
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

// Root writes a new root over the present Keys and Threshold, signed by them and by
// more (the root keys of the version before, if they changed).
func (r *Repo) Root(more ...ed25519.PrivateKey) {
	r.t.Helper()
	keys, roles := map[string]any{}, map[string]any{}
	for _, role := range Roles {
		ids := []string{}
		all := slices.Clone(r.Elsewhere[role])
		for _, k := range r.Keys[role] {
			all = append(all, k.Public())
		}
		for _, pub := range all {
			id := KeyID(r.t, pub)
			keys[id] = KeyObject(r.t, pub)
			ids = append(ids, id)
		}
		roles[role] = map[string]any{"keyids": ids, "threshold": max(1, r.Threshold[role])}
	}
	signed := r.head("root")
	signed["keys"], signed["roles"], signed["consistent_snapshot"] = keys, roles, r.Consistent
	data := r.Sign(signed, append(append([]ed25519.PrivateKey{}, r.Keys["root"]...), more...)...)
	r.Write("root.json", data)
	r.Write(fmt.Sprintf("%d.root.json", r.Version["root"]), data)
}

// Commit writes content, targets, snapshot and timestamp, each one version up.
func (r *Repo) Commit() {
	r.t.Helper()
	r.CommitWithoutTimestamp()
	r.Timestamp()
}

// CommitWithoutTimestamp writes content, targets and snapshot.
func (r *Repo) CommitWithoutTimestamp() {
	r.t.Helper()
	targets := r.head("targets")
	entries := maps.Clone(r.Spare)
	for name, data := range r.Targets {
		sum := sha512.Sum512(data)
		h := hex.EncodeToString(sum[:])
		entries[name] = map[string]any{"length": len(data), "hashes": map[string]string{"sha512": h}, "custom": map[string]string{"version": "1.0"}}
		file := name
		if r.Consistent {
			file = path.Join(path.Dir(name), h+"."+path.Base(name))
		}
		r.Write("targets/"+file, data)
	}
	targets["targets"] = entries
	data := r.Sign(targets, r.Keys["targets"]...)
	r.writeRole("targets", data)
	r.Snapshot(data)
}

// Snapshot writes a new snapshot over a targets.json.
func (r *Repo) Snapshot(targets []byte) {
	r.t.Helper()
	snapshot := r.head("snapshot")
	meta := map[string]any{"targets.json": r.entry("targets", targets)}
	for name, data := range r.Below {
		entry := r.entry("targets", data)
		entry["version"] = 1
		meta[name+".json"] = entry
		r.Write(name+".json", data)
		if r.Consistent {
			r.Write("1."+name+".json", data)
		}
	}
	snapshot["meta"] = meta
	r.writeRole("snapshot", r.Sign(snapshot, r.Keys["snapshot"]...))
}

// Timestamp writes a new timestamp over the present snapshot.
func (r *Repo) Timestamp() {
	r.t.Helper()
	ts := r.head("timestamp")
	ts["meta"] = map[string]any{"snapshot.json": r.entry("snapshot", r.Read("snapshot.json"))}
	r.Write("timestamp.json", r.Sign(ts, r.Keys["timestamp"]...))
}

func (r *Repo) entry(role string, data []byte) map[string]any {
	sum := sha512.Sum512(data)
	return map[string]any{"length": len(data), "version": r.Version[role], "hashes": map[string]string{"sha512": hex.EncodeToString(sum[:])}}
}

func (r *Repo) writeRole(role string, data []byte) {
	if r.Consistent {
		r.Write(fmt.Sprintf("%d.%s.json", r.Version[role], role), data)
	}
	r.Write(role+".json", data)
}
