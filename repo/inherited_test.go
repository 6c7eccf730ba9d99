package repo_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// What follows is go-tuf v0.5.2's own types (data/types.go), in the order of their
// fields: what fleetctl writes is encoding/json over them, so that < > & and the line
// separators come as escapes and invalid UTF-8 as U+FFFD.
type (
	theirSigned struct {
		Signed     json.RawMessage  `json:"signed"`
		Signatures []theirSignature `json:"signatures"`
	}
	theirSignature struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}
	theirFile struct {
		Length  int64             `json:"length"`
		Hashes  map[string]string `json:"hashes"`
		Custom  *json.RawMessage  `json:"custom,omitempty"`
		Version int64             `json:"version,omitempty"`
	}
	theirTargets struct {
		Type        string               `json:"_type"`
		SpecVersion string               `json:"spec_version"`
		Version     int64                `json:"version"`
		Expires     time.Time            `json:"expires"`
		Targets     map[string]theirFile `json:"targets"`
	}
	theirListing struct {
		Type        string               `json:"_type"`
		SpecVersion string               `json:"spec_version"`
		Version     int64                `json:"version"`
		Expires     time.Time            `json:"expires"`
		Meta        map[string]theirFile `json:"meta"`
	}
)

// TestInheritedIsStoredAsItIs: whatever text fleetctl's metadata holds, what we write
// over it is what an agent stores, byte for byte, and verify finds nothing afterwards
// that it did not find before.
func TestInheritedIsStoredAsItIs(t *testing.T) {
	texts := []string{
		"<", ">", "&", `"`, `\`, "\u2028", "\u2029", "\u2027", "\u202a", "\x01", "\n", "\t", "\x7f", "\xff", "a\xe2\x80", "ü", "日本", "🦀", "\u00e2\u0080",
		`\u003c`, "1.2.3", "</script>", "9007199254740993", "\ufeff", "\U0010ffff",
	}
	rng := rand.New(rand.NewPCG(20, 7))
	word := func() string {
		s := "x"
		for range 1 + rng.IntN(3) {
			s += texts[rng.IntN(len(texts))]
		}
		return s
	}
	customs := map[string]string{}
	for i, text := range texts { // each by itself
		customs[fmt.Sprintf("orbit/linux/c%d/orbit", i)] = `{"version":` + quoted("x"+text) + `}`
		customs["orbit/linux/x"+text+"/orbit"] = `{"version":"1"}`
	}
	for range 100 {
		customs["orbit/linux/"+word()+"/"+word()] = fmt.Sprintf(`{"version":%s,%s:[%s,12,true,null]}`, quoted(word()), quoted(word()), quoted(word()))
	}
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		theirs(t, r, kr, customs)
		before := findings(t, r)
		old := metadataOf(t, r)
		repotest.Add(t, r, kr, "next", meta.Item{Name: "other", Platform: "linux", Version: "2"})
		repotest.Rotate(t, r, kr, meta.RoleTargets)
		repotest.Stamp(t, r, kr)
		for name, data := range metadataOf(t, r) {
			if bytes.Equal(old[name], data) {
				continue
			}
			if stored, err := json.Marshal(json.RawMessage(data)); err != nil || !bytes.Equal(stored, data) {
				t.Errorf("%s is stored as\n%s\n, not\n%s (%v)", name, stored, data, err)
			}
		}
		for _, f := range findings(t, r) {
			if !slices.Contains(before, f) {
				t.Errorf("verify finds only after our commands: %s", f)
			}
		}
	})
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// theirs publishes targets 7, snapshot 7 and timestamp 7 as fleetctl writes them: custom
// by path.
func theirs(t *testing.T, r *repo.Repo, kr repotest.Keyring, customs map[string]string) {
	t.Helper()
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	web := filepath.Join(r.Dir(), "repository")
	expires := time.Now().Add(100 * time.Hour).Truncate(time.Second).UTC()
	content := []byte("their content")
	write := func(name string, data []byte) {
		file := filepath.Join(web, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put := func(role string, v any) theirFile {
		data := theirSign(t, p, kr, role, v)
		if p.Root.ConsistentSnapshot() && role != meta.RoleTimestamp {
			write("7."+role+".json", data)
		}
		write(role+".json", data)
		return theirFile{Length: int64(len(data)), Hashes: map[string]string{"sha512": sum512(data)}, Version: 7}
	}
	targets := map[string]theirFile{}
	for path, custom := range customs {
		c := json.RawMessage(custom)
		targets[path] = theirFile{Length: int64(len(content)), Hashes: map[string]string{"sha512": sum512(content)}, Custom: &c}
	}
	m := put(meta.RoleTargets, theirTargets{"targets", "1.0", 7, expires, targets})
	m = put(meta.RoleSnapshot, theirListing{"snapshot", "1.0", 7, expires, map[string]theirFile{"targets.json": m}})
	put(meta.RoleTimestamp, theirListing{"timestamp", "1.0", 7, expires, map[string]theirFile{"snapshot.json": m}})
}

func theirSign(t *testing.T, p *repo.Published, kr repotest.Keyring, role string, v any) []byte {
	t.Helper()
	signed, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := json.Unmarshal(signed, &decoded); err != nil {
		t.Fatal(err)
	}
	message, err := cjson.EncodeCanonical(decoded)
	if err != nil {
		t.Fatal(err)
	}
	s := theirSigned{Signed: signed}
	for _, k := range p.Root.Keys(role) {
		s.Signatures = append(s.Signatures, theirSignature{k.ID.String(), hex.EncodeToString(ed25519.Sign(kr[k.ID], message))})
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sum512(data []byte) string {
	sum := sha512.Sum512(data)
	return hex.EncodeToString(sum[:])
}

// findings are what verify has to say of the metadata.
func findings(t *testing.T, r *repo.Repo) []string {
	t.Helper()
	report, err := verify.Run(t.Context(), verify.Options{Source: filepath.Join(r.Dir(), "repository"), MetadataOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range report.Findings {
		out = append(out, fmt.Sprint(f.Severity, " ", f.Code, " ", f.Role, " ", f.Text))
	}
	return out
}

func metadataOf(t *testing.T, r *repo.Repo) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(r.Dir(), "repository", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = data
	}
	return out
}
