package meta_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// sealed is a targets or a role below it as a file, signed by the keys.
func sealed(t *testing.T, kr repotest.Keyring, role string, targets *meta.Targets, keys ...meta.Key) []byte {
	t.Helper()
	targets.Renumber(3, next())
	signed, err := targets.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d := meta.NewDoc(role, 3, targets.Expires(), meta.NewEnvelope(signed))
	d.SignWith(meta.KeySet{Keys: keys, Threshold: len(keys)})
	kr.Sign(t, d)
	data, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readTargets(file []byte) (*meta.Targets, error) {
	env, err := meta.ParseEnvelope(file)
	if err != nil {
		return nil, err
	}
	return meta.ParseTargets(env.Text())
}

// TestDelegatedRoles: what is written is read again, with its keys; a role counts by the
// keys and the threshold that targets.json names; one of another form is told apart.
func TestDelegatedRoles(t *testing.T) {
	kr := repotest.Keyring{}
	a, b, c := kr.Make(t), kr.Make(t), kr.Make(t)
	targets := meta.NewTargets()
	if d, err := targets.Delegated(); err != nil || len(d.Roles) > 0 || !d.Ours {
		t.Errorf("of none: %+v, %v", d, err)
	}
	role := meta.ColdRole{Name: "archive", Patterns: []string{"orbit/*/linux"}, Keys: []meta.Key{a, b}, Threshold: 2}
	if err := targets.SetDelegated([]meta.ColdRole{role}); err != nil {
		t.Fatal(err)
	}
	file := sealed(t, kr, meta.RoleTargets, targets, a)
	read, err := readTargets(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := read.Delegated()
	if err != nil || !d.Ours || len(d.Roles) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	got, ok := d.Find("archive")
	if !ok || !meta.SameKeySet(got.Keys, role.Keys) || got.Threshold != 2 || !slices.Equal(got.Patterns, role.Patterns) {
		t.Errorf("%+v", got)
	}
	if _, ok := d.Find("other"); ok {
		t.Error("a role that is not there was found")
	}
	for path, want := range map[string]bool{"orbit/1/linux": true, "orbit/1/windows": false, "orbit/1/2/linux": false} {
		if got.Matches(path) != want {
			t.Errorf("%q matches: %t", path, !want)
		}
	}
	other := got.Clone()
	other.Patterns[0], other.Keys[0] = "x", c
	if got.Patterns[0] == "x" || got.Keys[0].ID == c.ID {
		t.Error("a clone shares what it holds")
	}

	below := func(keys ...meta.Key) []byte { return sealed(t, kr, "archive", meta.NewTargets(), keys...) }
	for name, c := range map[string]struct {
		data []byte
		ok   bool
	}{"both": {below(a, b), true}, "one of two": {below(a), false}, "a stranger": {below(a, c), false}, "no file": {[]byte("{"), false}} {
		if err := meta.AcceptsCold(file, "archive", c.data); (err == nil) != c.ok || err != nil && !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, damaged := range []string{"{", `{"signatures":[],"signed":[]}`} {
		if err := meta.AcceptsCold([]byte(damaged), "archive", below(a, b)); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("targets %q: %v", damaged, err)
		}
	}
	if err := meta.AcceptsCold(file, "another", below(c)); err != nil {
		t.Errorf("a role that targets does not name: %v", err)
	}
}

// TestDelegationsOfOthers: a role in a form that no command of ours makes is none of ours,
// and damaged ones are refused.
func TestDelegationsOfOthers(t *testing.T) {
	kr := repotest.Keyring{}
	k := kr.Make(t)
	targets := meta.NewTargets()
	if err := targets.SetDelegated([]meta.ColdRole{{Name: "archive", Patterns: []string{"a/*/b"}, Keys: []meta.Key{k}, Threshold: 1}}); err != nil {
		t.Fatal(err)
	}
	file := sealed(t, kr, meta.RoleTargets, targets, k)
	for name, edit := range map[string]func(delegations, role map[string]any){
		"ends the search":       func(_, role map[string]any) { role["terminating"] = true },
		"hash prefixes":         func(_, role map[string]any) { role["path_hash_prefixes"] = []any{"00"} },
		"no paths":              func(_, role map[string]any) { delete(role, "paths") },
		"a key that is missing": func(d, _ map[string]any) { d["keys"] = map[string]any{} },
		"a threshold of none":   func(_, role map[string]any) { role["threshold"] = 0 },
	} {
		raw := kr.Resign(t, file, func(signed map[string]any) {
			d := signed["delegations"].(map[string]any)
			edit(d, d["roles"].([]any)[0].(map[string]any))
		}, k.ID)
		read, err := readTargets(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d, err := read.Delegated(); err != nil || d.Ours || len(d.Roles) > 0 || len(d.Raw.Roles) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for name, value := range map[string]any{"a list": []any{}, "a key of no kind": map[string]any{"keys": map[string]any{k.ID.String(): map[string]any{"keytype": "none"}}, "roles": []any{}}} {
		raw := kr.Resign(t, file, repotest.SetTo("delegations", value), k.ID)
		read, err := readTargets(raw)
		if err == nil {
			_, err = read.Delegated()
		}
		if err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// TestEntries: what is put in is there under its path and under its hashed name, in what the
// file says of itself, and a clone goes its own way.
func TestEntries(t *testing.T) {
	targets := meta.NewTargets()
	sum := strings.Repeat("ab", 64)
	want := meta.Target{Path: "orbit/linux/1/orbit", Length: 3, SHA512: sum, Version: "1"}
	if err := targets.Set(want); err != nil {
		t.Fatal(err)
	}
	clone := targets.Clone()
	clone.Remove(want.Path)
	clone.Put("other", targets.Entry(want.Path))
	for name, there := range map[string]bool{
		"orbit/linux/1/" + sum + ".orbit":                      true,
		"orbit/linux/1/" + strings.Repeat("cd", 64) + ".orbit": false,
		"orbit/linux/1/orbit":                                  false,
		"orbit/linux/2/" + sum + ".orbit":                      false,
	} {
		got, ok, err := targets.ByHashedName(name)
		if err != nil || ok != there || ok && got != want {
			t.Errorf("%q: %+v, %t, %v", name, got, ok, err)
		}
	}
	if meta.HashedPath(want.Path, sum) != "orbit/linux/1/"+sum+".orbit" {
		t.Error(meta.HashedPath(want.Path, sum))
	}
	var paths []string
	for path := range targets.All() {
		paths = append(paths, path)
	}
	if !slices.Equal(paths, []string{want.Path}) || !slices.Equal(clone.Paths(), []string{"other"}) {
		t.Errorf("%q, and %q in the clone", paths, clone.Paths())
	}
	if found := targets.PathsOf(sum); !slices.Equal(found, []string{want.Path}) {
		t.Errorf("paths of the content: %q", found)
	}
	if _, err := json.Marshal(targets.Others()); err != nil {
		t.Error(err)
	}
}
