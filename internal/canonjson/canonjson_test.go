package canonjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// What these functions say yes to agrees with the canonical form that every client
// computes, and with encoding/json.
func FuzzCanonJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `"a"`, `0`, `-1`, `-0`, `01`, `1.0`, `1e3`, `123456789012345`, `1234567890123456`, `9007199254740993`, `true`, `null`, ``,
		`{"a":1,"b":[2,{"c":"d"}]}`, `{"b":1,"a":2}`, `{"a":1,"a":2}`, `{"a" :1}`, ` {}`, `{} `, " { \"b\" :\t[ 1 , {} , [ ] ]\n, \"a\": null } ", `{"b":{"d":1,"c":{"f":2,"e":3}},"a":4}`, `{"a":1,}`, `{,}`, `[,]`, `{"a":"\n"}`, "{\"a\":\"\n\"}", `{"a":"\u00e9"}`, `{"a":"é"}`,
		"{\"a\":\"\xff\"}", `{"a":"<&>"}`, `{"a":"\u2028"}`, "{\"a\":\"\u2028\"}", `{"a\"b":1,"a\\b":2}`, `{"é":1,"z":2}`, `{"a":"\\","b":"\""}`, `{"a":"\/"}`,
		`{"signed":{"_type":"root"},"signatures":[]}`, strings.Repeat("[", 70) + strings.Repeat("]", 70), `{"a":"\ud800"}`, `[1,2,]`, `{"a":}`, `"\`, `tru`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		is := Is(raw)
		moved, movable := Reorder(raw)
		members, splits := Split(raw)
		if !json.Valid(raw) {
			if is || movable || splits {
				t.Fatalf("%q is no JSON", raw)
			}
			return
		}
		if splits {
			agree(t, raw, members)
		}
		if tooDeep(raw) {
			return
		}
		want, err := cjson.EncodeCanonical(json.RawMessage(raw))
		got, gotErr := Encode(raw)
		if (err == nil) != (gotErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q is encoded as %q (%v); the form is %q (%v)", raw, got, gotErr, want, err)
		}
		if is && (err != nil || !bytes.Equal(raw, want)) {
			t.Fatalf("%q was taken for canonical; the form is %q (%v)", raw, want, err)
		}
		if movable && (err != nil || !bytes.Equal(moved, want)) {
			t.Fatalf("%q was reordered to %q; the form is %q (%v)", raw, moved, want, err)
		}
	})
}

// agree: what Split takes apart, encoding/json takes apart in the same way.
func agree(t *testing.T, raw []byte, got map[string]json.RawMessage) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil || len(want) != len(got) {
		t.Fatalf("%q was split into %q; decoded it is %q (%v)", raw, got, want, err)
	}
	for key, value := range want {
		if !bytes.Equal(got[key], value) {
			t.Fatalf("%q was split into %q; decoded it is %q", raw, got, want)
		}
	}
}

// What metadata is made of is moved, not decoded: otherwise all this would be for
// nothing.
func TestMetadataIsMoved(t *testing.T) {
	gotuf := `{"signed":{"_type":"targets","spec_version":"1.0","version":2,"expires":"2030-01-01T00:00:00Z",` +
		`"targets":{"a/b":{"length":1,"hashes":{"sha512":"00"},"custom":{"version":"1"}}}},"signatures":[{"keyid":"1","sig":"2"}]}`
	out, ok := Reorder([]byte(gotuf))
	want := `{"signatures":[{"keyid":"1","sig":"2"}],"signed":{"_type":"targets","expires":"2030-01-01T00:00:00Z","spec_version":"1.0",` +
		`"targets":{"a/b":{"custom":{"version":"1"},"hashes":{"sha512":"00"},"length":1}},"version":2}}`
	if !ok || string(out) != want || !Is(out) {
		t.Errorf("reordered to %q (%t), not %q", out, ok, want)
	}
	indented := new(bytes.Buffer)
	if err := json.Indent(indented, []byte(gotuf), "", "\t"); err != nil {
		t.Fatal(err)
	}
	if out, ok := Reorder(indented.Bytes()); !ok || string(out) != want {
		t.Errorf("indented, it is reordered to %q (%t)", out, ok)
	}
	if m, ok := Split([]byte(gotuf)); !ok || len(m) != 2 || !strings.HasPrefix(string(m["signed"]), `{"_type"`) {
		t.Errorf("split into %q (%t)", m, ok)
	}
}
