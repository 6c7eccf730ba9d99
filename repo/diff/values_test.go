package diff_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestWholeValuesAreShown: a value of the publisher's is shown to its end, and one that
// is too long for that with its length and hash; a text stands between quotes, in which
// it cannot end them.
func TestWholeValuesAreShown(t *testing.T) {
	t.Parallel()
	r, _ := repotest.New(t, true)
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := edit.Add(r, p, nil, []edit.StagedItem{{
		Item:    meta.Item{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"1"}, File: "orbit"},
		Content: repo.Content{Length: 5, SHA512: strings.Repeat("ab", 64)},
	}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	base, err := bundle.Export(r, p, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{strings.Repeat("x", 900) + "tail", strings.Repeat("x", 4000) + "tail", strings.Repeat("\u00fc", 2000), `a" to "b`} {
		var env struct {
			Signed     map[string]any    `json:"signed"`
			Signatures []json.RawMessage `json:"signatures"`
		}
		if err := json.Unmarshal(base.Targets, &env); err != nil {
			t.Fatal(err)
		}
		entry := env.Signed["targets"].(map[string]any)["orbit/linux/1/orbit"].(map[string]any)
		entry["custom"].(map[string]any)["note"] = text
		x := base
		if x.Targets, err = json.Marshal(env); err != nil {
			t.Fatal(err)
		}
		im, err := bundle.Import("test", x, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		review, err := diff.New(im.Published, im.Change, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		want := "custom.note: (nothing) to " + string(value)
		if got := append(review.Roles[0].Added, review.Roles[0].Changed...)[0].Details[0]; len(value) <= 1000 && got != want {
			t.Errorf("%q, want %q", got, want)
		} else if tail := fmt.Sprintf("... (%d bytes; SHA-256 %x)", len(value), sha256.Sum256(value)); len(value) > 1000 &&
			(!strings.HasSuffix(got, tail) || !strings.HasPrefix(want, strings.TrimSuffix(got, tail)) || len(got) < 1000) {
			t.Errorf("%q does not end with %q", got, tail)
		}
	}
}
