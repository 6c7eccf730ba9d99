package repo

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// Parsers of what may come from elsewhere: a published repository, a folder that
// travelled on a stick, a person's typing.

// Canonical JSON, written as JSON, is read as the same canonical JSON.
func FuzzEscapes(f *testing.F) {
	for _, s := range []string{
		`{}`, `"a"`, `{"a":"\n"}`, `"\u0000\u001f\u007f"`, `{"a\tb":["\r",{"\b":"\f"}]}`, `{"a":"\\n","b":"\\\n"}`, `{"a":"\"\n\""}`, `{"a":"é\u2028"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := canonjson.Encode(raw)
		if err != nil || !json.Valid(raw) {
			return
		}
		text := escapeControls(got)
		again, err := canonjson.Encode(text)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q, written as %q, is read as %q (%v)", got, text, again, err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range seedMetadata(f) {
		f.Add(s)
	}
	f.Add([]byte(`{"signatures":[],"signed":{}}`))
	f.Add([]byte(`{"signatures":null,"signed":[]}`))
	f.Add([]byte(`{"signed":{"a":"\n"},"signatures":[{"keyid":"<","sig":"zz"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := parseEnvelope(data)
		if err != nil {
			return
		}
		b, err := env.bytes()
		if err != nil {
			t.Fatalf("%q is read and cannot be written: %v", data, err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, b); err != nil || !bytes.Equal(compact.Bytes(), b) {
			t.Fatalf("%q is not compact JSON (%v)", b, err)
		}
		again, err := parseEnvelope(b)
		if err != nil || !bytes.Equal(again.signed, env.signed) || len(again.signatures) != len(env.signatures) {
			t.Fatalf("%q is read back as something else (%v)", b, err)
		}
	})
}

// What a role's metadata says survives being read and written.
func FuzzRoles(f *testing.F) {
	for _, s := range seedMetadata(f) {
		f.Add(s)
	}
	f.Add([]byte(`{"signatures":[],"signed":{"_type":"targets","expires":"2030-01-01T00:00:00-03:00","spec_version":"1.0","targets":{"a\nb":{"custom":{"x":"\t"},"hashes":{"sha512":"00"},"length":1}},"version":1}}`))
	f.Add([]byte(`{"signatures":[],"signed":{"_type":"targets","delegations":{"keys":{},"roles":[]},"expires":"2030-01-01T00:00:00Z","targets":{"x":null},"version":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := parseEnvelope(data)
		if err != nil {
			return
		}
		for _, role := range []string{RoleSnapshot, RoleTimestamp} {
			if l, err := parseListing(role, env.text()); err == nil && (l.Meta().Version < 1 || l.Version() < 1) {
				t.Errorf("a %s without versions was accepted", role)
			}
		}
		fuzzRoot(t, env)
		fuzzTargets(t, env)
	})
}

func fuzzRoot(t *testing.T, env *envelope) {
	root, err := parseRoot(env.text())
	if err != nil {
		return
	}
	for _, role := range Roles() {
		if root.Threshold(role) < 1 || len(root.Keys(role)) < root.Threshold(role) {
			t.Errorf("role %s: threshold %d of %d keys was accepted", role, root.Threshold(role), len(root.Keys(role)))
		}
	}
	signed, err := root.clone().encode()
	if err != nil {
		t.Fatalf("a root is read and cannot be written: %v", err)
	}
	again, err := parseRoot(escapeControls(signed))
	if err != nil || again.Version() != root.Version() || len(again.keys) != len(root.keys) {
		t.Fatalf("a root is read back as something else (%v)", err)
	}
}

func fuzzTargets(t *testing.T, env *envelope) {
	targets, err := parseTargets(env.text())
	if err != nil {
		return
	}
	for _, p := range targets.Paths() {
		_, _, _ = targets.Get(p)
	}
	signed, err := targets.clone().encode()
	if err != nil {
		return // an entry without a canonical form; nothing is signed
	}
	if canon, err := canonjson.Encode(escapeControls(signed)); err != nil || !bytes.Equal(canon, signed) {
		t.Fatalf("what would be signed is not canonical: %q (%v)", signed, err)
	}
	again, err := parseTargets(escapeControls(signed))
	if err != nil {
		t.Fatalf("targets are read and written, and not read back: %v", err)
	}
	if again.Version() != targets.Version() || again.Len() != targets.Len() {
		t.Fatalf("version %d with %d paths is read back as %d with %d", targets.Version(), targets.Len(), again.Version(), again.Len())
	}
	for _, p := range targets.Paths() {
		if _, there := again.entries[p]; !there {
			t.Fatalf("path %q is gone", p)
		}
	}
}

// A path that is accepted stays below targets/, is a file name everywhere, and says
// again what it was made of.
func FuzzTargetPath(f *testing.F) {
	for _, s := range [][4]string{
		{"orbit", "linux", "stable", "orbit"}, {"extensions/hello", "windows", "1", "x.ext.exe"}, {"desktop", "windows-arm64", "1.2.3", "x"},
		{"..", "linux", "1", "x"}, {"a/b", "linux", "1", "x"}, {"extensions/", "linux", "1", "x"}, {"extensions", "linux", "1", "x"}, {"extensions/..", "linux", "1", "x"},
		{"a\\b", "linux", "1", "x"}, {"a", "l\x00", "1", "x"}, {"a", "linux", "\xff", "x"}, {"a", "linux", strings.Repeat("c", 256), "x"}, {strings.Repeat("n", 127), "linux", "1", "x"},
		{"é", "linux", "1", "x.pkg"}, {" a", "linux", "1", "x"}, {"a", "linux", "\u202e", "x"}, {"a%2f", "linux", "1", "x"}, {".", "linux", "1", "x"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, name, platform, channel, file string) {
		p, err := TargetPath(name, platform, channel, file)
		if err != nil {
			return
		}
		if path.Clean(p) != p || path.IsAbs(p) || !utf8.ValidString(p) || strings.ContainsAny(p, "\\\x00\n") || checkPath(p) != nil {
			t.Fatalf("path %q was accepted", p)
		}
		if n := len(path.Base(p)); n > MaxLastElement {
			t.Fatalf("path %q ends in %d bytes", p, n)
		}
		gotName, gotPlatform, gotChannel, _, ok := SplitPath(p)
		if !ok || gotName != name || gotPlatform != platform || gotChannel != channel {
			t.Fatalf("%q, %q, %q is %q, which is read as %q, %q, %q", name, platform, channel, p, gotName, gotPlatform, gotChannel)
		}
		if raw, err := cjson.EncodeCanonical(p); err != nil || !bytes.Equal(raw, []byte(canonicalString(p))) {
			t.Fatalf("%q in canonical form is %q, not %q", p, canonicalString(p), raw)
		}
	})
}

// A staged change from a stick is refused or understood, and no signature counts
// that does not verify.
func FuzzStaged(f *testing.F) {
	r, published := seedRepo(f, f.TempDir())
	c, err := r.Rotate(published, nil, Rotation{Role: RoleRoot, Add: []Key{seedKey(f, 9)}}, StageOptions{})
	if err != nil {
		f.Fatal(err)
	}
	if err := r.Save(c); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(r.pending("change.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte(`"base_root":1`), []byte(`"base_root":0`), 1))
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(`{"schema":1,"base_root":1,"base_targets":1,"targets":{"signatures":[],"signed":{"_type":"targets","expires":"2030-01-01T00:00:00Z","targets":{"../x":{}},"version":2}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(r.pending("change.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Published{published, nil} {
			c, err := r.Staged(p)
			if err != nil {
				continue
			}
			for _, d := range c.Docs() {
				for _, tally := range d.Tallies() {
					if tally.Have > 0 {
						t.Fatalf("%s counts a signature that nobody made", d.Role())
					}
				}
			}
			if _, err := r.Review(p, c, nil); err != nil && strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
		}
	})
}

// A journal moves files from pending/commit to repository/, and nothing else.
func FuzzJournal(f *testing.F) {
	for _, s := range []string{
		`{"schema":1,"change":true,"renames":[{"from":"commit/0","to":"repository/x.json"}]}`,
		`{"schema":1,"renames":[{"from":"commit/0","to":"keys/root.json"}]}`,
		`{"schema":1,"renames":[{"from":"commit/../change.json","to":"repository/x"}]}`,
		`{"schema":1,"renames":[{"from":"commit/0","to":"repository/../keys/root.json"}]}`,
		`{"schema":1,"renames":[{"from":"/etc/passwd","to":"repository/x"}]}`,
		`{"schema":1,"renames":[{"from":"commit/0","to":"repository/a/b/c"},{"from":"commit/1","to":"repository/a"}]}`,
		`{"schema":2}`, `{"schema":1}`, `[]`, ``, `{"schema":1,"renames":[{"from":"commit/","to":"repository/"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		files := map[string]string{
			"pending/journal": string(data), "pending/commit/0": "new", "keys/root.json": "key", "outside": "outside", "repository/root.json": "root",
		}
		for name, content := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := Open(dir, Options{}).Lock(context.Background(), "fuzz", time.Second)
		if err == nil {
			l.Unlock()
		}
		for _, name := range []string{"keys/root.json", "outside"} {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != files[name] {
				t.Fatalf("journal %q changed %s: %q (%v)", data, name, b, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 4 {
			t.Fatalf("journal %q left %v (%v)", data, entries, err)
		}
	})
}

// seedKey is a key of a fixed seed: a corpus must not change from run to run.
func seedKey(t testing.TB, n byte) Key {
	t.Helper()
	k, err := NewKey(seedPrivate(n).Public())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seedPrivate(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// seedRepo publishes a small repository with a fixed clock.
func seedRepo(t testing.TB, dir string) (*Repo, *Published) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := Open(dir, Options{Now: func() time.Time { return now }})
	l, err := r.Lock(context.Background(), "seed", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Unlock)
	private := map[tuf.KeyID]ed25519.PrivateKey{}
	keys := map[string][]Key{}
	for i, role := range Roles() {
		k := seedKey(t, byte(i+1))
		keys[role], private[k.ID] = []Key{k}, seedPrivate(byte(i+1))
	}
	c, err := r.Init(InitOptions{Keys: keys, Consistent: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Docs() {
		seedSign(t, d, private)
	}
	rel, err := r.Release(nil, c, ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for d, err := rel.Next(); d != nil || err != nil; d, err = rel.Next() {
		if err != nil {
			t.Fatal(err)
		}
		seedSign(t, d, private)
	}
	if err := r.Commit(rel); err != nil {
		t.Fatal(err)
	}
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	return r, p
}

func seedSign(t testing.TB, d *Doc, private map[tuf.KeyID]ed25519.PrivateKey) {
	t.Helper()
	for _, k := range d.Missing() {
		sig, err := wiresig.Sign(private[k.ID], d.Payload())
		if err == nil {
			err = d.AddSignature(k.ID, sig)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// seedMetadata gives the published files of a small repository.
func seedMetadata(t testing.TB) [][]byte {
	t.Helper()
	r, _ := seedRepo(t, t.TempDir())
	var out [][]byte
	for _, role := range Roles() {
		b, err := os.ReadFile(r.web(role + ".json"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}
