//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// An estate is a published repository in which a change of root and targets waits, with
// its keys in memory. Everything in it can be altered by somebody who holds all of the
// keys: [estate.with] alters one spot and signs anew whatever rests on it. So a test
// reaches texts that no honest signer writes, at the cost of some signatures.
type estate struct {
	keys map[string]ed25519.PrivateKey
	// tree holds the documents, decoded: root, targets, snapshot and timestamp as
	// published, staged_root and staged_targets, intents and hints.
	tree map[string]any
}

func newEstate(t testing.TB) *estate {
	t.Helper()
	e := &estate{keys: map[string]ed25519.PrivateKey{}, tree: map[string]any{}}
	r := repo.Open(t.TempDir(), repo.Options{})
	l, err := r.Lock(context.Background(), "test", time.Second)
	check(t, err)
	defer l.Unlock()
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{e.key(t)}
	}
	c, err := r.Init(repo.InitOptions{Keys: keys, Consistent: true})
	check(t, err)
	e.publish(t, r, nil, c)
	p, err := r.Load()
	check(t, err)
	c, err = edit.Add(r, p, nil, staging("1.0.0", "aa"), repo.StageOptions{})
	check(t, err)
	content := filepath.Join(r.Dir(), "repository", "targets", "orbit", "linux", "stable")
	check(t, os.MkdirAll(content, 0o755))
	check(t, r.Save(c))
	if p, err = r.Load(); err != nil {
		t.Fatal(err)
	}
	if c, err = edit.Rotate(r, p, c, edit.Rotation{Role: meta.RoleSnapshot, Add: []meta.Key{e.key(t)}}, repo.StageOptions{}); err != nil {
		t.Fatal(err)
	}
	x, err := bundle.Export(r, p, c)
	check(t, err)
	for name, data := range map[string][]byte{"staged_root": x.Root, "staged_targets": x.Targets} {
		e.tree[name] = decoded(t, data)
	}
	for _, role := range meta.Roles() {
		data, err := os.ReadFile(filepath.Join(r.Dir(), "repository", role+".json"))
		check(t, err)
		e.tree[role] = decoded(t, data)
	}
	// The published targets hold an entry too, and both a field that is the publisher's.
	for name, version := range map[string]string{"targets": "0.9.0", "staged_targets": "1.0.0"} {
		entry := map[string]any{"length": json.Number("5"), "hashes": map[string]any{"sha512": strings.Repeat("ab", 64)},
			"custom": map[string]any{"version": version, "note": "built by us"}}
		signed := e.tree[name].(map[string]any)["signed"].(map[string]any)
		signed["targets"] = map[string]any{"orbit/linux/stable/orbit": entry}
	}
	e.tree["intents"] = []any{"add orbit 1.0.0", "give a key the role snapshot"}
	hints := map[string]any{}
	for _, id := range e.tree["staged_root"].(map[string]any)["signed"].(map[string]any)["roles"].(map[string]any)["snapshot"].(map[string]any)["keyids"].([]any) {
		hints[id.(string)] = map[string]any{"uri": "piv:serial=1;slot=9c", "name": "blue", "attestation": "none"}
	}
	e.tree["hints"] = hints
	return e
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func staging(version, sum string) []edit.StagedItem {
	return []edit.StagedItem{{
		Item:    meta.Item{Name: "orbit", Platform: "linux", Version: version, Channels: []string{"stable"}, File: "orbit"},
		Content: repo.Content{Length: 5, SHA512: strings.Repeat(sum, 64)},
	}}
}

func (e *estate) key(t testing.TB) meta.Key {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	k, err := meta.NewKey(pub)
	check(t, err)
	e.keys[k.ID.String()] = priv
	return k
}

func (e *estate) publish(t testing.TB, r *repo.Repo, p *repo.Published, c *repo.Change) {
	t.Helper()
	sign := func(d *meta.Doc) {
		for _, k := range d.Missing() {
			sig, err := wiresig.Sign(e.keys[k.ID.String()], d.Payload())
			check(t, err)
			check(t, d.AddSignature(k.ID, sig))
		}
	}
	for _, d := range c.Docs() {
		sign(d)
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	check(t, err)
	for {
		d, err := rel.Next()
		check(t, err)
		if d == nil {
			break
		}
		sign(d)
	}
	check(t, r.Commit(rel))
}

func decoded(t testing.TB, data []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var m map[string]any
	check(t, dec.Decode(&m))
	return m
}

// spot is a string of the estate: the steps to it, and whether it is the name of a
// field rather than its value.
type spot struct {
	steps []any
	name  bool
}

func (p spot) String() string {
	s := fmt.Sprint(p.steps...)
	if p.name {
		s += " (a name)"
	}
	return s
}

// document is the part of the estate in which the spot lies.
func (p spot) document() string { return p.steps[0].(string) }

// spots lists every string, and every object as a spot for one more name. Of spots
// that differ in a key ID, a role or a number of a list alone, one stands for all.
func (e *estate) spots() []spot {
	var out []spot
	seen := map[string]bool{}
	var walk func(v any, at []any, form string)
	add := func(p spot, form string) {
		if form = fmt.Sprint(form, p.name); !seen[form] {
			seen[form] = true
			out = append(out, p)
		}
	}
	walk = func(v any, at []any, form string) {
		switch v := v.(type) {
		case string:
			add(spot{at, false}, form)
		case map[string]any:
			if len(at) > 0 {
				add(spot{at, true}, form)
			}
			for _, name := range sortedKeys(v) {
				one := name
				if len(name) == 64 || meta.IsRole(name) && len(at) > 0 {
					one = "*"
				}
				walk(v[name], append(slices.Clone(at), name), form+"/"+one)
			}
		case []any:
			for i := range v {
				walk(v[i], append(slices.Clone(at), i), form+"/*")
			}
		}
	}
	walk(e.tree, nil, "")
	return out
}

func sortedKeys(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// with gives the estate with a text in a spot: instead of the value there, or as the
// name and the value of one more field; as the path of one more target it is an entry.
func (e *estate) with(p spot, text string) *estate {
	out := &estate{keys: e.keys, tree: cloned(e.tree).(map[string]any)}
	var at any = out.tree
	steps := p.steps
	if !p.name {
		steps = steps[:len(steps)-1]
	}
	for _, s := range steps {
		switch s := s.(type) {
		case string:
			at = at.(map[string]any)[s]
		case int:
			at = at.([]any)[s]
		}
	}
	if p.name {
		m := at.(map[string]any)
		var value any = text
		for _, name := range sortedKeys(m) {
			if _, isObject := m[name].(map[string]any); isObject {
				value = cloned(m[name])
				break
			}
		}
		m[text] = value
		return out
	}
	switch s := p.steps[len(p.steps)-1].(type) {
	case string:
		at.(map[string]any)[s] = text
	case int:
		at.([]any)[s] = text
	}
	return out
}

func cloned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, inner := range v {
			m[name] = cloned(inner)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, inner := range v {
			l[i] = cloned(inner)
		}
		return l
	}
	return v
}
