package repo_test

import (
	"encoding/json"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestTrapsAreLookedFor: a staged change and a request pass package delegation, whose own
// tests hold what it refuses.
func TestTrapsAreLookedFor(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 4)
	p := d.Published(t)
	c, _, err := edit.Archive(d.Repo, p, nil, repotest.Keep(2), repo.StageOptions{})
	if err == nil {
		err = d.Save(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	var change map[string]any
	if err := json.Unmarshal([]byte(repotest.Read(t, d.Repo, "pending/change.json")), &change); err != nil {
		t.Fatal(err)
	}
	targets := change["targets"].(map[string]any)
	targets["signed"].(map[string]any)["expires"], targets["signatures"] = "2099-01-01T00:00:00Z", []any{}
	put := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	repotest.Write(t, d.Repo, "pending/change.json", string(put(change)))
	staged, err := d.Staged(p)
	if err != nil {
		t.Fatal(err)
	}
	repotest.RefusedAs(t, d.CheckSound(p, staged), meta.ColdTrap)
	x, err := bundle.Export(d.Repo, p, staged)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bundle.Import("request", x, d.Now())
	repotest.RefusedAs(t, err, meta.ColdTrap)
}
