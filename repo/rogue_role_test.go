package repo_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestRogueRoleIsNoSource: who has the keys of snapshot and timestamp alone can list a role
// of their own. Agents never look there, since targets does not delegate to it; and nothing
// of it comes into what targets is to sign.
func TestRogueRoleIsNoSource(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 3)
		const path, version = "orbit/linux/9.9.9/orbit", "9.9.9"
		root := d.Published(t).Root
		edited := func(role string, edit func(signed map[string]any)) []byte {
			was := []byte(repotest.Read(t, d.Repo, "repository/"+role+".json"))
			if role == meta.RoleTargets { // signed by nobody
				return d.Resign(t, was, edit)
			}
			return d.Resign(t, was, edit, root.Keys(role)[0].ID)
		}
		lay := func(name string, number int64, data []byte) {
			repotest.Write(t, d.Repo, "repository/"+name, string(data))
			if consistent && name != "timestamp.json" {
				repotest.Write(t, d.Repo, "repository/"+strconv.FormatInt(number, 10)+"."+name, string(data))
			}
		}
		next := func(signed map[string]any) int64 {
			n, err := signed["version"].(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			signed["version"] = n + 1
			return n + 1
		}
		describe := func(number int64, data []byte) map[string]any {
			sum := sha512.Sum512(data)
			return map[string]any{"version": number, "length": len(data), "hashes": map[string]any{"sha512": hex.EncodeToString(sum[:])}}
		}
		evil := edited(meta.RoleTargets, func(signed map[string]any) {
			entry := signed["targets"].(map[string]any)["orbit/linux/1.0.1/orbit"].(map[string]any)
			entry["custom"] = map[string]any{"version": version}
			signed["version"], signed["targets"] = 1, map[string]any{path: entry}
		})
		lay("evil.json", 1, evil)
		var n int64
		snapshot := edited(meta.RoleSnapshot, func(signed map[string]any) {
			n = next(signed)
			signed["meta"].(map[string]any)["evil.json"] = describe(1, evil)
		})
		lay("snapshot.json", n, snapshot)
		lay("timestamp.json", 0, edited(meta.RoleTimestamp, func(signed map[string]any) {
			next(signed)
			signed["meta"] = map[string]any{"snapshot.json": describe(n, snapshot)}
		}))

		p := d.Published(t)
		if _, err := p.ColdTargets("evil"); err == nil || len(p.Cold()) != 0 {
			t.Errorf("%v has a say: %v", p.Cold(), err)
		}
		promotion := edit.Promotion{Version: version, From: version, To: []string{"stable"}, AllowMissing: true}
		if c, _, err := edit.Promote(d.Repo, p, nil, promotion, repo.StageOptions{}); !repotest.KindIs(meta.NotFound)(err) {
			t.Errorf("promoted from it: %v, %v", c.Targets().Paths(), err)
		}
		if rows, err := p.ArchivedRows(nil); err != nil || len(rows) != 0 {
			t.Errorf("listed as archived: %v, %v", rows, err)
		}
		if _, _, _, err := d.PublishedContent(p, filepath.Join(d.Dir(), "repository", "targets", path)); err == nil {
			t.Error("its entry vouches for a file")
		}
		if list, err := edit.FindUnreferenced(d.Repo, p, nil, 0); err != nil || len(list) > 0 {
			t.Errorf("gc would delete %v, %v", list, err)
		}
	})
}
