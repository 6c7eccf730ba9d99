package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// fault is something planted into a good repository, and what must be said of it.
type fault struct {
	name       string
	consistent bool
	before     func(m *maker) // changes what is written
	after      func(m *maker) // changes what was written
	code       verify.Code
	severity   verify.Severity
	file       string // that the finding names; empty: any
}

// field sets a field of what a role signs.
func field(role, name string, value any) func(m *maker) {
	return func(m *maker) {
		m.edit[role] = func(signed map[string]any) { signed[name] = value }
	}
}

// target edits the entry of one target.
func target(f func(entry map[string]any)) func(m *maker) {
	return func(m *maker) {
		m.edit["targets"] = func(signed map[string]any) {
			f(signed["targets"].(map[string]any)["orbit/linux/stable/orbit"].(map[string]any))
		}
	}
}

// meta edits what snapshot or timestamp says of the file below it.
func meta(role, below string, f func(entry map[string]any)) func(m *maker) {
	return func(m *maker) {
		m.edit[role] = func(signed map[string]any) {
			f(signed["meta"].(map[string]any)[below].(map[string]any))
		}
	}
}

// rootKey edits the key of a role in the first root.
func rootKey(role string, f func(k *key)) func(m *maker) {
	return func(m *maker) { f(m.roots[0][role].keys[0]) }
}

func indent(raw []byte) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "\t"); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func cut(raw []byte) []byte { return raw[:len(raw)/2] }

func remove(name string) func(m *maker) {
	return func(m *maker) {
		if err := os.Remove(m.path(name)); err != nil {
			panic(err)
		}
	}
}

func finish(name string, f func([]byte) []byte) func(m *maker) {
	return func(m *maker) { m.finish[name] = f }
}

func rootFaults() []fault {
	rotated := func(m *maker) {
		m.rotate(ed25519Key, "root")
		m.rotate(ed25519Key, "root")
	}
	return []fault{
		{name: "a root not signed by the one before", before: func(m *maker) {
			rotated(m)
			stranger := ed25519Key()
			m.roots[2]["root"].keys[0] = stranger
			m.roots[1]["root"].keys[0].sign = stranger.sign
			m.roots[1]["root"].threshold = 1
		}, code: verify.CodeRootChain, severity: verify.Error, file: "3.root.json"},
		{name: "a gap in the chain", before: rotated, after: remove("2.root.json"), code: verify.CodeRootGap, severity: verify.Error, file: "2.root.json"},
		{name: "the newest N.root.json forgotten", before: rotated, after: remove("3.root.json"), code: verify.CodeRootGap, severity: verify.Error, file: "3.root.json"},
		{name: "the first root gone", before: rotated, after: remove("1.root.json"), code: verify.CodeRootFirst, severity: verify.Warning, file: "1.root.json"},
		{name: "root.json is an old one", before: rotated, after: func(m *maker) { m.put("root.json", m.get("2.root.json")) }, code: verify.CodeRootCopy, severity: verify.Error},
		{name: "root.json missing", after: remove("root.json"), code: verify.CodeRootCopy, severity: verify.Error},
		{name: "a root with the wrong version inside", before: func(m *maker) {
			rotated(m)
			m.edit["2.root.json"] = func(signed map[string]any) { signed["version"] = 7 }
		}, code: verify.CodeVersion, severity: verify.Error, file: "2.root.json"},
		{name: "a root over the limit", before: func(m *maker) {
			rotated(m)
			field("2.root.json", "x-note", strings.Repeat("x", 512000))(m)
		}, code: verify.CodeTooLarge, severity: verify.Error, file: "2.root.json"},
		{name: "a role missing", before: func(m *maker) {
			m.edit["1.root.json"] = func(signed map[string]any) { delete(signed["roles"].(map[string]any), "snapshot") }
		}, code: verify.CodeRoleMissing, severity: verify.Error},
		{name: "another repository's root of the same version", after: func(m *maker) {
			other := *m
			other.dir = m.dir + "-other"
			other.roots = []map[string]*roleKeys{allRoles(ed25519Key)}
			other.write()
			m.put("pinned", other.get("1.root.json"))
		}, code: verify.CodePinnedDiffers, severity: verify.Warning},
		{name: "targets keys replaced, timestamp at version 1", before: func(m *maker) {
			m.versions = map[string]int64{"timestamp": 1, "snapshot": 2, "targets": 2}
			m.rotate(ed25519Key, "targets")
		}, code: verify.CodeRotationTrap, severity: verify.Error},
		{name: "snapshot keys replaced, timestamp below snapshot", before: func(m *maker) {
			m.versions = map[string]int64{"timestamp": 5, "snapshot": 6, "targets": 2}
			m.rotate(ed25519Key, "snapshot")
		}, code: verify.CodeRotationTrap, severity: verify.Warning},
		{name: "targets key removed, timestamp file much older", before: func(m *maker) {
			m.roots[0]["targets"].keys = append(m.roots[0]["targets"].keys, ed25519Key())
			next := m.rotate(ed25519Key)
			next["targets"].keys = next["targets"].keys[:1]
		}, after: func(m *maker) {
			old := time.Now().Add(-48 * time.Hour)
			if err := os.Chtimes(m.path("timestamp.json"), old, old); err != nil {
				panic(err)
			}
		}, code: verify.CodeRotationTrap, severity: verify.Warning},
		{name: "fleetctl's backup in the web root", after: func(m *maker) { m.put(".backup/root.json", []byte("{}")) }, code: verify.CodeLeftover, severity: verify.Warning},
	}
}

func keyFaults() []fault {
	return []fault{
		{name: "an unused key of keytype ecdsa", before: func(m *maker) {
			k := p256Key()
			k.entry["keytype"] = "ecdsa"
			m.extra = append(m.extra, k)
		}, code: verify.CodeKeyType, severity: verify.Error},
		{name: "keytype ecdsa in a later root only", before: func(m *maker) {
			m.rotate(func() *key {
				k := p256Key()
				k.entry["keytype"] = "ecdsa"
				k.identify()
				return k
			}, "targets")
		}, code: verify.CodeKeyType, severity: verify.Error, file: "2.root.json"},
		{name: "keytype ecdsa-sha2-nistp384", before: func(m *maker) {
			k := ecdsaKey(elliptic.P384())
			k.entry["keytype"], k.entry["scheme"] = "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"
			m.extra = append(m.extra, k)
		}, code: verify.CodeKeyType, severity: verify.Error},
		{name: "a P-384 key called P-256", before: func(m *maker) { m.roots[0]["targets"].keys[0] = ecdsaKey(elliptic.P384()) }, code: verify.CodeKeyCurve, severity: verify.Error},
		{name: "a scheme of another keytype", before: rootKey("targets", func(k *key) { k.entry["scheme"] = "rsassa-pss-sha256" }), code: verify.CodeKeyScheme, severity: verify.Error},
		{name: "ed25519 as PEM", before: rootKey("targets", func(k *key) {
			k.entry["keyval"] = map[string]any{"public": spkiPEM(k.signer.Public())}
		}), code: verify.CodeKeyForm, severity: verify.Error},
		{name: "RSA as PKCS#1", before: func(m *maker) {
			k := *sharedRSA()
			der := x509.MarshalPKCS1PublicKey(k.signer.Public().(*rsa.PublicKey))
			k.entry = maps.Clone(k.entry)
			k.entry["keyval"] = map[string]any{"public": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der}))}
			k.identify()
			m.roots[0]["targets"].keys[0] = &k
		}, code: verify.CodeKeyForm, severity: verify.Error},
		{name: "P-256 as a hex point", before: func(m *maker) {
			k := p256Key()
			k.entry["keyval"] = map[string]any{"public": "04" + strings.Repeat("ab", 64)}
			m.extra = append(m.extra, k)
		}, code: verify.CodeKeyForm, severity: verify.Error},
		{name: "a null key", before: func(m *maker) {
			m.edit["1.root.json"] = func(signed map[string]any) { signed["keys"].(map[string]any)["nothing"] = nil }
		}, code: verify.CodeKeyForm, severity: verify.Error},
		{name: "an RSA key of 1024 bits", before: func(m *maker) { m.extra = append(m.extra, smallRSA()) }, code: verify.CodeKeySize, severity: verify.Error},
		{name: "one public key twice in a role", before: func(m *maker) {
			k := p256Key()
			twin := *k
			twin.entry = maps.Clone(k.entry)
			delete(twin.entry, "keyid_hash_algorithms")
			twin.identify()
			m.roots[0]["targets"] = &roleKeys{[]*key{k, &twin}, 2}
		}, code: verify.CodeKeyDuplicate, severity: verify.Error},
		{name: "threshold met by one key twice", before: func(m *maker) {
			k := p256Key()
			twin := *k
			twin.id = "twin"
			m.roots[0]["targets"] = &roleKeys{[]*key{k, &twin}, 2}
		}, code: verify.CodeThreshold, severity: verify.Error, file: "targets.json"},
		{name: "threshold 0", before: func(m *maker) { m.roots[0]["snapshot"].threshold = 0 }, code: verify.CodeRoleThreshold, severity: verify.Error},
		{name: "threshold above the number of keys", before: func(m *maker) { m.roots[0]["snapshot"].threshold = 2 }, code: verify.CodeRoleThreshold, severity: verify.Error},
		{name: "a role names a key that is not there", before: func(m *maker) {
			m.edit["1.root.json"] = func(signed map[string]any) {
				r := signed["roles"].(map[string]any)["timestamp"].(map[string]any)
				r["keyids"] = append(r["keyids"].([]any), "0123456789abcdef")
			}
		}, code: verify.CodeKeyMissing, severity: verify.Error},
	}
}

func smallRSA() *key {
	// A modulus of 1024 bits as old tools made it; Go no longer generates one.
	block, _ := pem.Decode([]byte(small))
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return newKey("rsa", "rsassa-pss-sha256", spkiPEM(pub), nil, nil)
}

func signatureFaults() []fault {
	p256 := func(role string, f func(k *key)) func(m *maker) {
		return func(m *maker) {
			m.roots[0][role].keys[0] = p256Key()
			f(m.roots[0][role].keys[0])
		}
	}
	return []fault{
		{name: "nobody signed targets", before: func(m *maker) { m.missigned["targets"] = true }, code: verify.CodeThreshold, severity: verify.Error, file: "targets.json"},
		{name: "a wrong signature on timestamp", before: func(m *maker) { m.missigned["timestamp"] = true }, code: verify.CodeSignature, severity: verify.Error, file: "timestamp.json"},
		{name: "a raw signature", before: p256("snapshot", (*key).rawForm), code: verify.CodeSignatureRaw, severity: verify.Error, file: "snapshot.json"},
		{name: "a raw signature beside enough good ones", before: func(m *maker) {
			bad := p256Key()
			bad.rawForm()
			m.roots[0]["targets"].keys = append(m.roots[0]["targets"].keys, bad)
		}, code: verify.CodeSignatureRaw, severity: verify.Warning, file: "targets.json"},
		{name: "ECDSA over SHA-384", before: p256("targets", func(k *key) {
			k.sign = func(m []byte) []byte {
				h := crypto.SHA384.New()
				h.Write(m)
				sig, _ := ecdsa.SignASN1(rand.Reader, k.signer.(*ecdsa.PrivateKey), h.Sum(nil))
				return sig
			}
		}), code: verify.CodeSignature, severity: verify.Error},
		{name: "RSA PKCS#1 v1.5", before: func(m *maker) {
			k := *sharedRSA()
			k.sign = func(msg []byte) []byte {
				digest := sha256.Sum256(msg)
				sig, _ := rsa.SignPKCS1v15(rand.Reader, k.signer.(*rsa.PrivateKey), crypto.SHA256, digest[:])
				return sig
			}
			m.roots[0]["timestamp"].keys[0] = &k
		}, code: verify.CodeSignaturePKCS1, severity: verify.Error},
		{name: "one signature of two", before: func(m *maker) {
			spare := ed25519Key()
			spare.sign = func([]byte) []byte { return nil }
			m.roots[0]["targets"] = &roleKeys{[]*key{ed25519Key(), spare}, 2}
		}, code: verify.CodeThreshold, severity: verify.Error},
		{name: "a signature that is not hex", before: finish("timestamp", func(raw []byte) []byte {
			return bytes.Replace(raw, []byte(`"sig":"`), []byte(`"sig":"zz`), 1)
		}), code: verify.CodeSignatureHex, severity: verify.Error},
		{name: "two signatures under one key ID", before: func(m *maker) {
			twin := *m.roots[0]["timestamp"].keys[0]
			m.roots[0]["timestamp"].keys = append(m.roots[0]["timestamp"].keys, &twin)
		}, code: verify.CodeSignatureDuplicate, severity: verify.Error, file: "timestamp.json"},
		{name: "signed bytes changed afterwards", after: func(m *maker) {
			m.change("timestamp.json", func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"version":3`), []byte(`"version":4`), 1)
			})
		}, code: verify.CodeThreshold, severity: verify.Error},
	}
}

func formFaults() []fault {
	return []fault{
		{name: "indented targets", before: finish("targets", indent), code: verify.CodeNotCompact, severity: verify.Error, file: "targets.json"},
		{name: "targets with a trailing newline", before: finish("targets", func(b []byte) []byte { return append(b, '\n') }), code: verify.CodeNotCompact, severity: verify.Error},
		{name: "a raw ampersand in targets", before: func(m *maker) {
			target(func(e map[string]any) { e["custom"].(map[string]any)["version"] = "1&2" })(m)
			finish("targets", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`\u0026`), []byte("&")) })(m)
		}, code: verify.CodeNotCompact, severity: verify.Error},
		{name: "indented root", before: finish("1.root.json", indent), code: verify.CodeNotCompact, severity: verify.Warning, file: "1.root.json"},
		{name: "cut off targets", after: func(m *maker) { m.change("targets.json", cut) }, code: verify.CodeMalformed, severity: verify.Error, file: "targets.json"},
		{name: "an empty timestamp", after: func(m *maker) { m.put("timestamp.json", nil) }, code: verify.CodeMalformed, severity: verify.Error},
		{name: "an HTML page for snapshot", after: func(m *maker) { m.put("snapshot.json", []byte("\n<!DOCTYPE html>")) }, code: verify.CodeHTML, severity: verify.Error},
		{name: "nested ten thousand deep", after: func(m *maker) {
			m.put("timestamp.json", []byte(strings.Repeat("[", 10000)+strings.Repeat("]", 10000)))
		}, code: verify.CodeNesting, severity: verify.Error},
		{name: "deep inside signed", before: func(m *maker) {
			var deep any = 1
			for range 100 {
				deep = []any{deep}
			}
			field("targets", "x-deep", deep)(m)
		}, code: verify.CodeNesting, severity: verify.Error},
		{name: "millions of values", after: func(m *maker) {
			m.put("snapshot.json", []byte("["+strings.Repeat("0,", 5<<20)+"0]"))
		}, code: verify.CodeTooLarge, severity: verify.Error},
		{name: "a name twice", before: finish("timestamp", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"version":3`), []byte(`"version":3,"version":3`), 1)
		}), code: verify.CodeDuplicateField, severity: verify.Error},
		{name: "signed is not an object", after: func(m *maker) { m.put("snapshot.json", []byte(`{"signatures":[],"signed":[]}`)) }, code: verify.CodeMalformed, severity: verify.Error},
		{name: "a string for a version", before: field("snapshot", "version", "2"), code: verify.CodeMalformed, severity: verify.Error},
		{name: "a number above 2^53", before: target(func(e map[string]any) {
			e["custom"].(map[string]any)["build"] = json.Number("9007199254740993")
		}), code: verify.CodeNumber, severity: verify.Error},
		{name: "a number with a fraction", after: func(m *maker) {
			m.change("timestamp.json", func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"version":3`), []byte(`"version":3.0`), 1)
			})
		}, code: verify.CodeNumber, severity: verify.Error},
		{name: "not UTF-8", after: func(m *maker) {
			m.change("timestamp.json", func(b []byte) []byte { return bytes.Replace(b, []byte("sha512"), []byte("sha\xff12"), 1) })
		}, code: verify.CodeMalformed, severity: verify.Error},
		{name: "targets under the name snapshot", before: field("snapshot", "_type", "targets"), code: verify.CodeType, severity: verify.Error},
		{name: "spec_version 2", before: field("timestamp", "spec_version", "2.0"), code: verify.CodeSpecVersion, severity: verify.Error},
		{name: "version 0", before: func(m *maker) { m.versions["timestamp"] = 0 }, code: verify.CodeVersion, severity: verify.Error},
		{name: "a local zone", before: field("timestamp", "expires", time.Now().Add(240*time.Hour).Format("2006-01-02T15:04:05")+"-03:00"), code: verify.CodeExpiresZone, severity: verify.Warning},
		{name: "a fraction of a second", before: field("snapshot", "expires", time.Now().Add(9000*time.Hour).UTC().Format("2006-01-02T15:04:05")+".25Z"), code: verify.CodeExpiresForm, severity: verify.Warning},
		{name: "a date without a time", before: field("snapshot", "expires", "2036-01-01"), code: verify.CodeExpiresForm, severity: verify.Error},
		{name: "expired timestamp", before: field("timestamp", "expires", "2021-01-01T00:00:00Z"), code: verify.CodeExpired, severity: verify.Error, file: "timestamp.json"},
		{name: "expired last root", before: field("1.root.json", "expires", "2024-10-06T00:00:00Z"), code: verify.CodeExpired, severity: verify.Error, file: "1.root.json"},
		{name: "a timestamp over the limit", before: field("timestamp", "x-note", strings.Repeat("x", 16384)), code: verify.CodeTooLarge, severity: verify.Error, file: "timestamp.json"},
		{name: "a file over all limits", after: func(m *maker) {
			if err := os.Truncate(m.path("snapshot.json"), 1<<40); err != nil {
				panic(err)
			}
		}, code: verify.CodeTooLarge, severity: verify.Error, file: "snapshot.json"},
	}
}
