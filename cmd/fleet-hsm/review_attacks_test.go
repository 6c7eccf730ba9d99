//go:build cgo && linux

package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/review"
)

// attacks are texts that want to be something else on the screen.
var attacks = map[string]string{
	"escape":           "\x1b[2J\x1b[HROOT v9",
	"C1":               "\u009b2J",
	"OSC":              "\x1b]0;x\x07",
	"newline":          "a\n  key       0000000000000000 gains root (ed25519)",
	"carriage return":  "a\rSign this?",
	"bidi":             "a\u202edcba\u2066",
	"zero-width":       "a\u200bb\ufeff",
	"padding":          "a" + strings.Repeat(" ", 68) + "0000 gains timestamp",
	"wide blanks":      "a" + strings.Repeat("\u3000\u2800", 40) + "gains root",
	"look-alike":       "\u0433\u043e\u043et",
	"not UTF-8":        "\xff\x9b2J",
	"quote":            `a" gains root, "b`,
	"4,000 characters": strings.Repeat("gains root ", 364),
}

// everyString puts a text into every string of a value, however deep.
func everyString(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				everyString(v.Field(i), s)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			everyString(v.Index(i), s)
		}
	}
}

// TestReviewOfAttacks: every string field of what a review shows, times every attack.
func TestReviewOfAttacks(t *testing.T) {
	t.Parallel()
	for name, s := range attacks {
		var seen diff.Review
		everyString(reflect.ValueOf(&seen).Elem(), s)
		hash := strings.Repeat("0123456789abcdef", 4)
		for i := range seen.Roles {
			seen.Roles[i].Role, seen.Roles[i].Hash, seen.Roles[i].Expires = meta.RoleRoot, hash, time.Now().Add(time.Hour)
		}
		checkReview(t, name, reviewOf(seen, s), hash)
	}
}

// ringOf is the keychain of a folder with nothing in it.
func ringOf(cfg *config.Config) *keyring.Ring {
	k, err := keyring.New(keyring.Options{Kinds: kinds(), Config: cfg})
	if err != nil {
		panic(err)
	}
	return k
}

func reviewOf(seen diff.Review, said string) string {
	var b bytes.Buffer
	k := ringOf(&config.Config{})
	k.Hints = map[tuf.KeyID]keyring.Hint{{}: {Said: prompt.Name(said).String()}}
	review.Show(prompt.New(&b), seen, k)
	return b.String()
}

// checkReview looks at a review as a screen of 80 columns shows it.
func checkReview(t *testing.T, name, text, hash string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, l := range lines {
		if len(l) > 80 || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%s: a line that acts, or wraps by itself: %q", name, l)
		}
		if !ourLine(l) {
			t.Errorf("%s: a line without a beginning of ours: %q", name, l)
		}
	}
	if last := strings.Join(lines[max(0, len(lines)-2):], " "); hash != "" && strings.Join(strings.Fields(strings.TrimPrefix(last, "  sha256")), "") != hash {
		t.Errorf("%s: the review does not end with the hash: %q", name, last)
	}
}

// ourLine reports whether a line begins with a label of ours, a mark, or the blanks
// below a label.
func ourLine(l string) bool {
	if l == "" || strings.HasPrefix(l, "          > ") || strings.HasPrefix(l, "            ") || strings.HasPrefix(l, "  > ") {
		return true
	}
	for _, label := range []string{"intent", "expires", "agents", "stays", "words", "key", "threshold", "added", "changed", "moved", "removed", "sha512", "was", "now", "other", "signed", "WARNING", "sha256"} {
		if l == "  "+label || strings.HasPrefix(l, "  "+label+" ") {
			return true
		}
	}
	role, versions, _ := strings.Cut(l, " ")
	return (role == "ROOT" || role == "TARGETS") && strings.HasPrefix(versions, "v") || l == "  the sender says:" || strings.HasPrefix(l, `  the sender says: "`)
}

// FuzzReview reviews whatever can be a request, from its bytes: nothing but printable
// text comes out, and every line of the review begins with words of ours. A request that
// is refused for its description alone is tried again with the right one: else hardly any
// alteration would reach the review.
func FuzzReview(f *testing.F) {
	honest := newEstate(f)
	f.Add(honest.request(f))
	hostile, _ := hostileRequest(f, honest)
	f.Add(hostile.request(f))
	for _, p := range honest.spots() {
		if slices.Contains(proposed, p.document()) {
			f.Add(honest.with(p, attacks["escape"]).request(f))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, request := range [][]byte{data, describedAnew(data)} {
			r := reviewBytes(request)
			for _, out := range []string{r.stdout, r.stderr} {
				if why := actsOrLies(out, ""); why != "" {
					t.Errorf("%s: %q", why, out)
				}
			}
			if r.code == exitOK {
				checkReview(t, "fuzz", r.stdout, "")
			}
		}
	})
}

// describedAnew gives a request the description that fits it, if it can be read at all.
func describedAnew(data []byte) []byte {
	var q struct {
		Created   time.Time         `json:"created"`
		Roots     []json.RawMessage `json:"roots"`
		Published json.RawMessage   `json:"published_targets"`
		Root      json.RawMessage   `json:"root"`
		Targets   json.RawMessage   `json:"targets"`
		Intents   json.RawMessage   `json:"intents"`
		Keys      json.RawMessage   `json:"keys"`
	}
	if json.Unmarshal(data, &q) != nil {
		return nil
	}
	x := bundle.Bundle{Roots: q.Roots, Published: q.Published, Root: q.Root, Targets: q.Targets, Created: q.Created}
	return requestOf(x, described(x), q.Intents, q.Keys)
}
