package delegation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// offered is a staged change taken apart: the signed parts of targets and cold roles.
type offeredCold struct {
	targets map[string]any
	cold    map[string]map[string]any
}

func (o *offeredCold) roles() []any {
	return o.targets["delegations"].(map[string]any)["roles"].([]any)
}

func (o *offeredCold) setRoles(roles []any) {
	o.targets["delegations"].(map[string]any)["roles"] = roles
}

// role gives what targets says of orbit on linux.
func (o *offeredCold) role() map[string]any {
	for _, ro := range o.roles() {
		if ro := ro.(map[string]any); ro["name"] == "archive-orbit-linux" {
			return ro
		}
	}
	return nil
}

// orbit is the cold role of orbit on linux.
func (o *offeredCold) orbit() map[string]any { return o.cold["archive-orbit-linux"] }

func entriesOf(signed map[string]any) map[string]any { return signed["targets"].(map[string]any) }

// rename calls the role of orbit on linux otherwise.
func (o *offeredCold) rename(name string) {
	o.cold[name] = o.orbit()
	delete(o.cold, "archive-orbit-linux")
	o.role()["name"] = name
}

// TestTrapsOfColdRoles: whatever agents would stumble over is refused when a staged change
// is signed or committed, and when a request asks for a signature, whoever made it.
func TestTrapsOfColdRoles(t *testing.T) {
	t.Parallel()
	fresh := repotest.NewDaily(t, true)
	fresh.Releases(t, 5)
	archived := repotest.NewDaily(t, true)
	archived.Releases(t, 5)
	archived.Archive(t, repotest.Keep(2))
	twoOfTwo := repotest.NewDaily(t, true)
	twoOfTwo.Releases(t, 5)
	twoOfTwo.Keyring.RotateTo(t, twoOfTwo.Repo, edit.Rotation{Role: meta.RoleTargets, Set: []meta.Key{twoOfTwo.Make(t), twoOfTwo.Make(t)}, Threshold: 2})
	const path, hot = "orbit/linux/1.0.1/orbit", "orbit/linux/stable/orbit"

	traps := map[string]struct {
		again  bool // on a repository that has an archive
		two    bool // on one whose targets take two signatures
		unread bool // not even taken for a change
		edit   func(o *offeredCold)
	}{
		"a cold role that expires before targets": {edit: func(o *offeredCold) { o.orbit()["expires"] = "2027-01-01T00:00:00Z" }},
		"targets that outlive a published role":   {again: true, edit: func(o *offeredCold) { o.targets["expires"] = "2099-01-01T00:00:00Z" }},
		"a role that is dropped": {again: true, edit: func(o *offeredCold) {
			o.setRoles(o.roles()[:3])
			delete(o.cold, "archive-orbit-windows")
		}},
		"a channel in a cold role": {edit: func(o *offeredCold) {
			entriesOf(o.orbit())[hot] = entriesOf(o.targets)[hot]
			delete(entriesOf(o.targets), hot)
		}},
		"paths beside prefixes":        {edit: func(o *offeredCold) { o.role()["path_hash_prefixes"] = []any{"00"} }},
		"prefixes alone":               {edit: func(o *offeredCold) { o.role()["path_hash_prefixes"] = []any{"00"}; delete(o.role(), "paths") }},
		"neither":                      {edit: func(o *offeredCold) { delete(o.role(), "paths") }},
		"a pattern to cross slashes":   {edit: func(o *offeredCold) { o.role()["paths"] = []any{"orbit/*"} }},
		"two stars to cross slashes":   {edit: func(o *offeredCold) { o.role()["paths"] = []any{"orbit/linux/**"} }},
		"two stars as an element":      {edit: func(o *offeredCold) { o.role()["paths"] = []any{"orbit/**/orbit/orbit"} }},
		"a star for the platform":      {edit: func(o *offeredCold) { o.role()["paths"] = []any{"orbit/*/*/orbit"} }},
		"a pattern without a star":     {edit: func(o *offeredCold) { o.role()["paths"] = []any{path} }},
		"an entry that nobody finds":   {edit: func(o *offeredCold) { o.role()["paths"] = []any{"orbit/macos/*/orbit"} }},
		"more than 32 roles on a way":  {edit: crowd},
		"a target in two roles":        {edit: func(o *offeredCold) { entriesOf(o.targets)[path] = entriesOf(o.orbit())[path] }},
		"a new target that is there":   {again: true, edit: func(o *offeredCold) { entriesOf(o.targets)["orbit/linux/1.0.1/orbit"] = entriesOf(o.targets)[hot] }},
		"a target in two cold roles":   {edit: twoCold},
		"the name of a top-level role": {edit: func(o *offeredCold) { o.rename("snapshot") }},
		"a name with a slash":          {edit: func(o *offeredCold) { o.rename("archive/orbit") }},
		"a name that leads upwards":    {edit: func(o *offeredCold) { o.rename("..") }},
		"the name of a numbered file":  {edit: func(o *offeredCold) { o.rename("3.targets") }},
		"two roles of one name":        {edit: func(o *offeredCold) { o.setRoles(append(o.roles(), o.role())) }},
		"a role that ends the search":  {edit: func(o *offeredCold) { o.role()["terminating"] = true }},
		"a threshold of none":          {edit: func(o *offeredCold) { o.role()["threshold"] = 0 }},
		"a threshold above the keys":   {edit: func(o *offeredCold) { o.role()["threshold"] = 2 }},
		"a threshold below targets'":   {two: true, edit: func(o *offeredCold) { o.role()["threshold"] = 1 }},
		"a key that is not listed":     {edit: func(o *offeredCold) { o.targets["delegations"].(map[string]any)["keys"] = map[string]any{} }},
		"a key twice":                  {edit: func(o *offeredCold) { ids := o.role()["keyids"].([]any); o.role()["keyids"] = append(ids, ids[0]) }},
		"a role that delegates":        {edit: func(o *offeredCold) { o.orbit()["delegations"] = o.targets["delegations"] }},
		"a role nobody delegates to":   {unread: true, edit: func(o *offeredCold) { o.cold["stranger"] = o.orbit() }},
		"another version than targets": {unread: true, edit: func(o *offeredCold) { o.orbit()["version"] = 99 }},
	}
	for name, c := range traps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := fresh
			switch {
			case c.again:
				from = archived
			case c.two:
				from = twoOfTwo
			}
			r := repotest.Clone(t, from.Repo)
			p, x := stageOffered(t, r, c.again, c.edit)
			staged, err := r.Staged(p)
			if err == nil {
				err = r.CheckSound(p, staged)
			}
			is := isTrap
			if c.unread {
				is = func(err error) bool { return errors.Is(err, meta.ErrMetadata) }
			}
			if !is(err) {
				t.Errorf("staged: not refused: %v", err)
			}
			if _, err := bundle.Import("request", x, r.Now()); !is(err) {
				t.Errorf("requested: not refused: %v", err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		r := repotest.Clone(t, fresh.Repo)
		p, x := stageOffered(t, r, false, func(*offeredCold) {})
		staged, err := r.Staged(p)
		if err == nil {
			err = r.CheckSound(p, staged)
		}
		if err != nil {
			t.Error(err)
		}
		if im, err := bundle.Import("request", x, r.Now()); err != nil || len(im.Change.Docs()) != 5 {
			t.Errorf("%v", err)
		}
	})
}

func isTrap(err error) bool {
	var refused *meta.RefusedError
	return errors.As(err, &refused) && refused.Kind == meta.ColdTrap
}

// crowd delegates what orbit's role has to 32 roles more.
func crowd(o *offeredCold) {
	roles := o.roles()
	for i := range 32 {
		ro := maps.Clone(o.role())
		ro["name"] = fmt.Sprintf("archive-%d", i)
		roles = append(roles, ro)
	}
	o.setRoles(roles)
}

// twoCold puts an entry into a second role of the same pattern.
func twoCold(o *offeredCold) {
	ro := maps.Clone(o.role())
	ro["name"], ro["paths"] = "archive-again", o.role()["paths"]
	o.setRoles(append(o.roles(), ro))
	o.cold["archive-again"] = maps.Clone(o.orbit())
}

// stageOffered stages an archiving, or a release where there is one, changed by edit, and
// gives it as a request too.
func stageOffered(t *testing.T, r *repo.Repo, again bool, alter func(*offeredCold)) (*repo.Published, bundle.Bundle) {
	t.Helper()
	p := repotest.Load(t, r)
	c, _, err := edit.Archive(r, p, nil, repotest.Keep(2), repo.StageOptions{})
	if again {
		c, _, err = edit.Promote(r, p, nil, edit.Promotion{Version: "1.0.4", From: "1.0.4", To: []string{"new"}}, repo.StageOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.Dir(), "pending", "change.json")
	var change map[string]any
	readJSON(t, file, &change)
	o := &offeredCold{cold: map[string]map[string]any{}}
	envelope := func(v any) map[string]any { return v.(map[string]any)["signed"].(map[string]any) }
	o.targets = envelope(change["targets"])
	if cold, ok := change["cold"].(map[string]any); ok {
		for name, v := range cold {
			o.cold[name] = envelope(v)
		}
	}
	alter(o)
	wrap := func(signed any) any { return map[string]any{"signatures": []any{}, "signed": signed} }
	change["targets"] = wrap(o.targets)
	cold := map[string]any{}
	for name, signed := range o.cold {
		cold[name] = wrap(signed)
	}
	change["cold"] = cold
	data := marshal(t, change)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := bundle.Export(r, p, c)
	if err != nil {
		t.Fatal(err)
	}
	x.Targets, x.Cold = marshal(t, change["targets"]), map[string]json.RawMessage{}
	for name, v := range cold {
		x.Cold[name] = marshal(t, v)
	}
	for _, name := range p.Cold() {
		data, err := os.ReadFile(filepath.Join(r.Dir(), "repository", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if x.PublishedCold == nil {
			x.PublishedCold = map[string]json.RawMessage{}
		}
		x.PublishedCold[name] = data
	}
	return p, x
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
