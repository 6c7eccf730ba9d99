package tuf_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

const good = "5d0f1e7a00112233445566778899aabbccddeeff00112233445566778899aabb"

// refused is every way in which something else than a key ID can stand in its place.
var refused = map[string]string{
	"empty":            "",
	"short":            good[1:],
	"long":             good + "0",
	"upper case":       strings.ToUpper(good),
	"no digit":         "g" + good[1:],
	"path":             "../../" + good[6:],
	"escape sequence":  "\x1b[2J" + good[4:],
	"C1 control":       "\u009b2J" + good[4:],
	"newline at end":   good[1:] + "\n",
	"newline behind":   good + "\n",
	"NUL":              "\x00" + good[1:],
	"bidi":             "\u202e" + good[3:],
	"zero-width":       "\u200b" + good[3:],
	"blank":            " " + good[1:],
	"full-width digit": "\uff10" + good[3:],
	"not UTF-8":        "\xff" + good[1:],
	"4,000 characters": strings.Repeat("a", 4000),
}

func TestOnlyKeyIDsAreKeyIDs(t *testing.T) {
	t.Parallel()
	for name, s := range refused {
		_, err := tuf.ParseKeyID(s)
		checkRefused(t, name+", parsed", err)
		quoted, merr := json.Marshal(s)
		if merr != nil {
			t.Fatal(merr)
		}
		var id tuf.KeyID
		checkRefused(t, name+", as a JSON value", json.Unmarshal(quoted, &id))
		var m map[tuf.KeyID]int
		checkRefused(t, name+", as the name of a JSON field", json.Unmarshal([]byte("{"+string(quoted)+":1}"), &m))
		if !id.IsZero() || len(m) != 0 {
			t.Errorf("%s: refused, and kept: %q, %v", name, id, m)
		}
	}
}

func checkRefused(t *testing.T, what string, err error) {
	t.Helper()
	var refused *tuf.KeyIDError
	if !errors.As(err, &refused) {
		t.Errorf("%s: error %v, want a KeyIDError", what, err)
		return
	}
	if s := err.Error(); len(s) > 600 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%s: the error repeats what it refuses: %q", what, s)
	}
}

func TestKeyIDInDocuments(t *testing.T) {
	t.Parallel()
	type document struct {
		One  tuf.KeyID         `json:"one"`
		None tuf.KeyID         `json:"none,omitzero"`
		Many map[tuf.KeyID]int `json:"many"`
	}
	want := `{"one":"` + good + `","many":{"` + good + `":1}}`
	var d document
	if err := json.Unmarshal([]byte(want), &d); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(d)
	if err != nil || string(got) != want {
		t.Errorf("read and written again: %s, %v", got, err)
	}
	if d.One.String() != good || d.One.Short() != good[:16] || d.None.Short() != "" {
		t.Errorf("%q, %q, %q", d.One, d.One.Short(), d.None.Short())
	}
	for _, notString := range []string{"null", "1", "true", "{}", "[]"} {
		if err := json.Unmarshal([]byte(`{"one":`+notString+`}`), &d); err == nil {
			t.Errorf("%s was taken for a key ID", notString)
		}
	}
}
