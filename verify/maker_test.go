package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// key is a key of a test repository; sign may be replaced to make a bad signature.
type key struct {
	id     string
	entry  map[string]any
	signer crypto.Signer
	sign   func(message []byte) []byte
}

func newKey(keytype, scheme, public string, signer crypto.Signer, sign func([]byte) []byte) *key {
	k := &key{signer: signer, sign: sign}
	k.entry = map[string]any{
		"keytype": keytype, "scheme": scheme,
		"keyid_hash_algorithms": []string{"sha256", "sha512"},
		"keyval":                map[string]any{"public": public},
	}
	k.identify()
	return k
}

func (k *key) identify() {
	text, err := cjson.EncodeCanonical(k.entry)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	k.id = hex.EncodeToString(sum[:])
}

func spkiPEM(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func ed25519Key() *key {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return newKey("ed25519", "ed25519", hex.EncodeToString(pub), priv, func(m []byte) []byte { return ed25519.Sign(priv, m) })
}

func ecdsaKey(curve elliptic.Curve) *key {
	priv, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return newKey("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", spkiPEM(priv.Public()), priv, func(m []byte) []byte {
		digest := sha256.Sum256(m)
		sig, _ := ecdsa.SignASN1(rand.Reader, priv, digest[:])
		return sig
	})
}

func p256Key() *key { return ecdsaKey(elliptic.P256()) }

func rsaKey(bits int) *key {
	priv, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return newKey("rsa", "rsassa-pss-sha256", spkiPEM(priv.Public()), priv, func(m []byte) []byte {
		digest := sha256.Sum256(m)
		sig, _ := rsa.SignPSS(rand.Reader, priv, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		return sig
	})
}

// rawForm signs as a PKCS#11 module does.
func (k *key) rawForm() {
	der := k.sign
	k.sign = func(m []byte) []byte {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der(m), &rs); err != nil {
			panic(err)
		}
		return append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	}
}

type roleKeys struct {
	keys      []*key
	threshold int
}

// maker describes a repository and writes it with go-tuf v2's metadata types.
type maker struct {
	dir        string
	consistent bool
	now        time.Time
	roots      []map[string]*roleKeys // one per version
	extra      []*key                 // listed in every root, used by no role
	files      map[string]string      // target path -> content
	versions   map[string]int64
	// edit changes what is signed, by role or by file name of a root.
	edit map[string]func(signed map[string]any)
	// finish changes the bytes of a file before anything above names it.
	finish map[string]func(raw []byte) []byte
	// missigned lets every signature of a file be made over other bytes.
	missigned map[string]bool
}

func newMaker(t testing.TB, consistent bool) *maker {
	return &maker{
		dir: filepath.Join(t.TempDir(), "repository"), consistent: consistent, now: time.Now().UTC().Truncate(time.Second),
		roots: []map[string]*roleKeys{allRoles(ed25519Key)},
		files: map[string]string{
			"orbit/linux/stable/orbit":                   "orbit for linux",
			"orbit/linux/1.2.3/orbit":                    "orbit for linux",
			"orbit/windows/stable/orbit.exe":             "orbit for windows",
			"desktop/linux-arm64/edge/desktop.tar.gz":    strings.Repeat("desktop", 5000),
			"extensions/hello/linux/stable/hello.ext":    "an extension",
			"osqueryd/macos-app/s4/osqueryd.app.tar.gz":  "osqueryd",
			"escrowBuddy/macos/1.1.10.8/escrowBuddy.pkg": "a package",
		},
		versions:  map[string]int64{"timestamp": 3, "snapshot": 2, "targets": 2},
		edit:      map[string]func(map[string]any){},
		finish:    map[string]func([]byte) []byte{},
		missigned: map[string]bool{},
	}
}

func allRoles(make func() *key) map[string]*roleKeys {
	roles := map[string]*roleKeys{}
	for _, name := range []string{"root", "targets", "snapshot", "timestamp"} {
		roles[name] = &roleKeys{[]*key{make()}, 1}
	}
	return roles
}

// rotate adds a root version in which the named roles have new keys.
func (m *maker) rotate(make func() *key, names ...string) map[string]*roleKeys {
	next := map[string]*roleKeys{}
	for name, r := range m.last() {
		next[name] = &roleKeys{slices.Clone(r.keys), r.threshold}
	}
	for _, name := range names {
		for i := range next[name].keys {
			next[name].keys[i] = make()
		}
	}
	m.roots = append(m.roots, next)
	return next
}

func (m *maker) last() map[string]*roleKeys { return m.roots[len(m.roots)-1] }

func (m *maker) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

func (m *maker) put(name string, data []byte) {
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(m.path(name), data, 0o644); err != nil {
		panic(err)
	}
}

func (m *maker) get(name string) []byte {
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		panic(err)
	}
	return data
}

func (m *maker) change(name string, f func([]byte) []byte) { m.put(name, f(m.get(name))) }

// hashedName is where the consistent layout keeps a target.
func hashedName(target, content string) string {
	sum := sha512.Sum512([]byte(content))
	return "targets/" + path.Join(path.Dir(target), hex.EncodeToString(sum[:])+"."+path.Base(target))
}

// write makes the whole repository.
func (m *maker) write() {
	for i := range m.roots {
		m.put(fmt.Sprintf("%d.root.json", i+1), m.root(i))
	}
	m.put("root.json", m.get(fmt.Sprintf("%d.root.json", len(m.roots))))
	targets := m.targets()
	m.putVersioned("targets", targets)
	snapshot := metadata.Snapshot(m.now.AddDate(3, 0, 0))
	snapshot.Signed.Version = m.versions["snapshot"]
	snapshot.Signed.Meta["targets.json"] = describe(targets, m.versions["targets"])
	body := m.sign("snapshot", snapshot.Signed, m.last()["snapshot"].keys)
	m.putVersioned("snapshot", body)
	timestamp := metadata.Timestamp(m.now.AddDate(0, 0, 14))
	timestamp.Signed.Version = m.versions["timestamp"]
	timestamp.Signed.Meta["snapshot.json"] = describe(body, m.versions["snapshot"])
	m.put("timestamp.json", m.sign("timestamp", timestamp.Signed, m.last()["timestamp"].keys))
}

func (m *maker) putVersioned(role string, data []byte) {
	m.put(role+".json", data)
	if m.consistent {
		m.put(fmt.Sprintf("%d.%s.json", m.versions[role], role), data)
	}
}

func describe(data []byte, version int64) *metadata.MetaFiles {
	sum := sha512.Sum512(data)
	return &metadata.MetaFiles{Length: int64(len(data)), Hashes: metadata.Hashes{"sha512": sum[:]}, Version: version}
}

func (m *maker) root(i int) []byte {
	root := metadata.Root(m.now.AddDate(10, 0, 0))
	root.Signed.Version = int64(i + 1)
	root.Signed.ConsistentSnapshot = m.consistent
	signed := toMap(root.Signed)
	keys, roles := map[string]any{}, map[string]any{}
	for _, k := range m.extra {
		keys[k.id] = k.entry
	}
	for name, r := range m.roots[i] {
		ids := []string{}
		for _, k := range r.keys {
			keys[k.id] = k.entry
			ids = append(ids, k.id)
		}
		roles[name] = map[string]any{"keyids": ids, "threshold": r.threshold}
	}
	signed["keys"], signed["roles"] = keys, roles
	signers := slices.Clone(m.roots[i]["root"].keys)
	if i > 0 {
		for _, k := range m.roots[i-1]["root"].keys {
			if !slices.Contains(signers, k) {
				signers = append(signers, k)
			}
		}
	}
	return m.sign(fmt.Sprintf("%d.root.json", i+1), signed, signers)
}

func (m *maker) targets() []byte {
	targets := metadata.Targets(m.now.AddDate(3, 0, 0))
	targets.Signed.Version = m.versions["targets"]
	for name, content := range m.files {
		sum := sha512.Sum512([]byte(content))
		custom := json.RawMessage(`{"version":"1.2.3"}`)
		targets.Signed.Targets[name] = &metadata.TargetFiles{
			Length: int64(len(content)), Hashes: metadata.Hashes{"sha512": sum[:]}, Custom: &custom,
		}
		file := "targets/" + name
		if m.consistent {
			file = hashedName(name, content)
		}
		m.put(file, []byte(content))
	}
	return m.sign("targets", targets.Signed, m.last()["targets"].keys)
}

func toMap(v any) map[string]any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

// sign makes an envelope: canonical payload, signature list by hand.
func (m *maker) sign(name string, v any, signers []*key) []byte {
	signed := toMap(v)
	if f := m.edit[name]; f != nil {
		f(signed)
	}
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		panic(err)
	}
	if m.missigned[name] {
		payload = append(payload, '!')
	}
	signatures := []any{}
	for _, k := range signers {
		signatures = append(signatures, map[string]any{"keyid": k.id, "sig": hex.EncodeToString(k.sign(payload))})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	if err := enc.Encode(map[string]any{"signatures": signatures, "signed": signed}); err != nil {
		panic(err)
	}
	raw := bytes.TrimSpace(out.Bytes())
	if f := m.finish[name]; f != nil {
		raw = f(raw)
	}
	return raw
}

// run verifies the folder from its first root, every byte.
func (m *maker) run(t testing.TB, change ...func(*verify.Options)) *verify.Report {
	t.Helper()
	o := verify.Options{Source: m.dir, AllTargets: true, FromEveryRoot: true}
	for _, f := range change {
		f(&o)
	}
	report, err := verify.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// find gives the findings of one code.
func find(r *verify.Report, code verify.Code) []verify.Finding {
	var found []verify.Finding
	for _, f := range r.Findings {
		if f.Code == code {
			found = append(found, f)
		}
	}
	return found
}

func list(r *verify.Report) string {
	var lines []string
	for _, f := range r.Findings {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func rootName(v int) string { return fmt.Sprintf("%d.root.json", v) }
