package repo_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestReleaseParsesNoArchive: an add knows when cold roles expire, and that none of them
// holds what it publishes, without parsing their entries; and where one does, it parses
// that role alone.
func TestReleaseParsesNoArchive(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 5)
	d.Archive(t, repotest.Keep(1))
	d.Later(time.Hour)
	p := d.Published(t)
	c, err := edit.Add(d.Repo, p, nil, []edit.StagedItem{d.Item(t, "orbit", "linux", "1.0.9", "stable")}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, p, c)
	if parsed := p.ParsedCold(); len(parsed) > 0 {
		t.Errorf("parsed %v", parsed)
	}
	want := p.Targets.Expires()
	if p = d.Published(t); !p.Targets.Expires().Equal(want) {
		t.Errorf("targets expires %s, and the cold roles %s", p.Targets.Expires(), want)
	}
	if _, err := edit.Add(d.Repo, p, nil, []edit.StagedItem{d.Item(t, "orbit", "linux", "1.0.3", "stable")}, repo.StageOptions{}); err != nil {
		t.Fatal(err)
	}
	if parsed := p.ParsedCold(); !slices.Equal(parsed, []string{"archive-orbit-linux"}) {
		t.Errorf("parsed %v", parsed)
	}
}

// TestColdRoleInAnotherForm: the same role with escapes that canonical JSON does not use,
// and with its expiry behind the entries, says the same.
func TestColdRoleInAnotherForm(t *testing.T) {
	t.Parallel()
	for name, rewrite := range map[string]func(data string) string{
		"escapes": func(data string) string { return strings.ReplaceAll(data, "/", `\/`) },
		"expiry last": func(data string) string {
			rest, expiry, tail := cutMember(t, data, `"expires":"`)
			return strings.TrimSuffix(rest+tail, "}}") + "," + expiry + "}}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := repotest.NewDaily(t, false)
			d.Releases(t, 5)
			d.Archive(t, repotest.Keep(1))
			rewriteCold(t, d, "archive-orbit-linux", rewrite)
			d.Later(time.Hour)
			p := d.Published(t)
			want := p.Targets.Expires()
			other := d.Item(t, "orbit", "linux", "other", "stable")
			other.Item.Version = "1.0.3"
			_, err := edit.Add(d.Repo, p, nil, []edit.StagedItem{other}, repo.StageOptions{})
			repotest.RefusedAs(t, err, meta.Archived)
			d.Add(t, d.Item(t, "orbit", "linux", "1.0.9", "stable"))
			if got := d.Published(t).Targets.Expires(); !got.Equal(want) {
				t.Errorf("targets expires %s, and a cold role %s", got, want)
			}
			repotest.Judge(t, d.Repo)
		})
	}
}

// cutMember takes a string member, and the comma behind it, out of JSON text.
func cutMember(t *testing.T, data, head string) (before, member, after string) {
	t.Helper()
	before, rest, ok := strings.Cut(data, head)
	value, after, ok2 := strings.Cut(rest, `",`)
	if !ok || !ok2 {
		t.Fatalf("no %s in %.200s", head, data)
	}
	return before, head + value + `"`, after
}

// rewriteCold puts other bytes in the place of a cold role's, and signs snapshot and
// timestamp for them; flat layout.
func rewriteCold(t *testing.T, d *repotest.Daily, role string, rewrite func(data string) string) {
	t.Helper()
	root := d.Published(t).Root
	was := repotest.Read(t, d.Repo, "repository/"+role+".json")
	now := rewrite(was)
	if now == was {
		t.Fatal("nothing is rewritten")
	}
	repotest.Write(t, d.Repo, "repository/"+role+".json", now)
	fit := func(file, named string) {
		data := []byte(repotest.Read(t, d.Repo, "repository/"+named))
		sum := sha512.Sum512(data)
		signer := root.Keys(strings.TrimSuffix(file, ".json"))[0].ID
		out := d.Resign(t, []byte(repotest.Read(t, d.Repo, "repository/"+file)), func(signed map[string]any) {
			meta := signed["meta"].(map[string]any)[named].(map[string]any)
			meta["length"], meta["hashes"] = len(data), map[string]any{"sha512": hex.EncodeToString(sum[:])}
			if named == "snapshot.json" {
				n, err := meta["version"].(json.Number).Int64()
				if err != nil {
					t.Fatal(err)
				}
				meta["version"] = n + 1
			}
			n, err := signed["version"].(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			signed["version"] = n + 1
		}, signer)
		repotest.Write(t, d.Repo, "repository/"+file, string(out))
	}
	fit("snapshot.json", role+".json")
	fit("timestamp.json", "snapshot.json")
}
