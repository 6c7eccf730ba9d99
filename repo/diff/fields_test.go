package diff_test

import (
	"encoding/json"
	"fmt"
	"slices"
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

// TestEveryFieldIsShown changes one field at a time of what is staged, over all
// fields of root and targets, and adds and takes away fields everywhere. Either
// nobody would be asked to sign it at all, or the review changes, in more than its hash.
func TestEveryFieldIsShown(t *testing.T) {
	t.Parallel()
	r, kr := repotest.New(t, true)
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("ab", 64)
	items := []edit.StagedItem{
		{Item: meta.Item{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"stable"}, File: "orbit"}, Content: repo.Content{Length: 5, SHA512: sum}},
	}
	c, err := edit.Add(r, p, nil, items, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rot := edit.Rotation{Role: meta.RoleSnapshot, Add: []meta.Key{kr.Make(t)}, Threshold: 2}
	if c, err = edit.Rotate(r, p, c, rot, repo.StageOptions{}); err != nil {
		t.Fatal(err)
	}
	base, err := bundle.Export(r, p, c)
	if err != nil {
		t.Fatal(err)
	}
	want := reviewOf(t, base)
	for _, role := range []string{meta.RoleRoot, meta.RoleTargets} {
		shown, refused := 0, 0
		for what, altered := range alterations(t, envelopeOf(base, role)) {
			x := base
			if role == meta.RoleRoot {
				x.Root = altered
			} else {
				x.Targets = altered
			}
			switch got := reviewOf(t, x); got {
			case "":
				refused++
			case want:
				t.Errorf("%s: %s does not show on the review", role, what)
			default:
				shown++
			}
		}
		t.Logf("%s: %d alterations show, %d are refused", role, shown, refused)
		if shown == 0 || refused == 0 {
			t.Errorf("%s: %d shown, %d refused: the test alters nothing", role, shown, refused)
		}
	}
}

func envelopeOf(x bundle.Bundle, role string) []byte {
	if role == meta.RoleRoot {
		return x.Root
	}
	return x.Targets
}

// reviewOf gives the review without its hashes, "" if the change is refused.
func reviewOf(t *testing.T, x bundle.Bundle) string {
	t.Helper()
	now := time.Now()
	im, err := bundle.Import("test", x, now)
	if err != nil {
		return ""
	}
	review, err := diff.New(im.Published, im.Change, nil, now)
	if err != nil {
		return ""
	}
	for i := range review.Roles {
		review.Roles[i].Hash = ""
	}
	b, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// alterations gives metadata files that differ from data in one field of "signed".
func alterations(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	var decode = func() map[string]any {
		var v map[string]any
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, path := range paths(decode()["signed"], nil) {
		for i, m := range mutants(value(decode()["signed"], path)) {
			v := decode()
			set(v, append([]any{"signed"}, path...), m)
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out[fmt.Sprintf("%v, alteration %d", path, i)] = b
		}
	}
	return out
}

// paths lists every value, inner ones too.
func paths(v any, at []any) [][]any {
	var out [][]any
	if len(at) > 0 {
		out = append(out, at)
	}
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			out = append(out, paths(inner, append(slices.Clone(at), name))...)
		}
	case []any:
		for i, inner := range v {
			out = append(out, paths(inner, append(slices.Clone(at), i))...)
		}
	}
	return out
}

func value(v any, path []any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			v = v.(map[string]any)[s]
		case int:
			v = v.([]any)[s]
		}
	}
	return v
}

type gone struct{}

func set(v any, path []any, to any) {
	parent := value(v, path[:len(path)-1])
	switch last := path[len(path)-1].(type) {
	case string:
		if _, ok := to.(gone); ok {
			delete(parent.(map[string]any), last)
			return
		}
		parent.(map[string]any)[last] = to
	case int:
		if _, ok := to.(gone); ok {
			to = nil
		}
		parent.([]any)[last] = to
	}
}

// mutants gives other values in the place of v.
func mutants(v any) []any {
	out := []any{gone{}, nil, "other", true, 7.0, map[string]any{}, []any{}}
	switch v := v.(type) {
	case string:
		out = append(out, v+"x", strings.ToUpper(v))
		if len(v) > 0 {
			last := "0"
			if strings.HasSuffix(v, last) {
				last = "1"
			}
			out = append(out, v[:len(v)-1]+last)
		}
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			out = append(out, at.Add(time.Second).Format(time.RFC3339), at.In(time.FixedZone("", 3600)).Format(time.RFC3339), at.Format("2006-01-02T15:04:05.000Z"))
		}
	case float64:
		out = append(out, v+1, v-1, 0.0)
	case bool:
		out = append(out, !v)
	case []any:
		reversed := slices.Clone(v)
		slices.Reverse(reversed)
		out = append(out, append(slices.Clone(v), v...), append(slices.Clone(v), "more"))
		if len(v) > 1 {
			out = append(out, reversed, v[:1])
		}
	case map[string]any:
		more := map[string]any{"extra": "field"}
		for name, inner := range v {
			more[name] = inner
		}
		out = append(out, more)
	}
	return slices.DeleteFunc(out, func(m any) bool { return fmt.Sprintf("%T %v", m, m) == fmt.Sprintf("%T %v", v, v) })
}
