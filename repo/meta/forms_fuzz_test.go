package meta

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

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
		env, err := ParseEnvelope(data)
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
		again, err := ParseEnvelope(b)
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
		env, err := ParseEnvelope(data)
		if err != nil {
			return
		}
		for _, role := range []string{RoleSnapshot, RoleTimestamp} {
			if l, err := ParseListing(role, env.Text()); err == nil && (l.Meta().Version < 1 || l.Version() < 1) {
				t.Errorf("a %s without versions was accepted", role)
			}
		}
		fuzzRoot(t, env)
		fuzzTargets(t, env)
	})
}

func fuzzRoot(t *testing.T, env *Envelope) {
	root, err := ParseRoot(env.Text())
	if err != nil {
		return
	}
	for _, role := range Roles() {
		if root.Threshold(role) < 1 || len(root.Keys(role)) < root.Threshold(role) {
			t.Errorf("role %s: threshold %d of %d keys was accepted", role, root.Threshold(role), len(root.Keys(role)))
		}
	}
	signed, err := root.Clone().Encode()
	if err != nil {
		t.Fatalf("a root is read and cannot be written: %v", err)
	}
	again, err := ParseRoot(escapeControls(signed))
	if err != nil || again.Version() != root.Version() || len(again.keys) != len(root.keys) {
		t.Fatalf("a root is read back as something else (%v)", err)
	}
}

func fuzzTargets(t *testing.T, env *Envelope) {
	targets, err := ParseTargets(env.Text())
	if err != nil {
		return
	}
	for _, p := range targets.Paths() {
		_, _, _ = targets.Get(p)
	}
	signed, err := targets.Clone().Encode()
	if err != nil {
		return // an entry without a canonical form; nothing is signed
	}
	if canon, err := canonjson.Encode(escapeControls(signed)); err != nil || !bytes.Equal(canon, signed) {
		t.Fatalf("what would be signed is not canonical: %q (%v)", signed, err)
	}
	again, err := ParseTargets(escapeControls(signed))
	if err != nil {
		t.Fatalf("targets are read and written, and not read back: %v", err)
	}
	if again.Version() != targets.Version() || again.Len() != targets.Len() {
		t.Fatalf("version %d with %d paths is read back as %d with %d", targets.Version(), targets.Len(), again.Version(), again.Len())
	}
	for _, p := range targets.Paths() {
		if again.Entry(p) == nil {
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
		if path.Clean(p) != p || path.IsAbs(p) || !utf8.ValidString(p) || strings.ContainsAny(p, "\\\x00\n") || CheckPath(p) != nil {
			t.Fatalf("path %q was accepted", p)
		}
		if n := len(path.Base(p)); n > MaxLastElement {
			t.Fatalf("path %q ends in %d bytes", p, n)
		}
		gotName, gotPlatform, gotChannel, _, ok := SplitPath(p)
		if !ok || gotName != name || gotPlatform != platform || gotChannel != channel {
			t.Fatalf("%q, %q, %q is %q, which is read as %q, %q, %q", name, platform, channel, p, gotName, gotPlatform, gotChannel)
		}
		if raw, err := cjson.EncodeCanonical(p); err != nil || !bytes.Equal(raw, []byte(CanonicalString(p))) {
			t.Fatalf("%q in canonical form is %q, not %q", p, CanonicalString(p), raw)
		}
	})
}

// seedMetadata gives the files of a small repository, of fixed keys and times: a corpus must
// not change from run to run.
func seedMetadata(t testing.TB) [][]byte {
	t.Helper()
	expires := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	root := NewRoot(true)
	private := map[tuf.KeyID]ed25519.PrivateKey{}
	for i, role := range Roles() {
		priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		k, err := NewKey(priv.Public())
		if err == nil {
			err = root.SetKeys(role, []Key{k}, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		private[k.ID] = priv
	}
	targets := NewTargets()
	root.Renumber(1, expires)
	targets.Renumber(1, expires)
	var out [][]byte
	for _, role := range []string{RoleRoot, RoleTargets, RoleSnapshot, RoleTimestamp} {
		var signed []byte
		var err error
		switch role {
		case RoleRoot:
			signed, err = root.Encode()
		case RoleTargets:
			signed, err = targets.Encode()
		default:
			signed, err = NewListing(role, 1, expires, File{1, out[len(out)-1]}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		d := NewDoc(role, 1, expires, NewEnvelope(signed))
		d.SignWith(root.Signers(role))
		for _, k := range d.Missing() {
			sig, err := wiresig.Sign(private[k.ID], d.Payload())
			if err == nil {
				err = d.AddSignature(k.ID, sig)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}
