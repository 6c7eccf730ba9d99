package repo_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// relist signs snapshot and timestamp again, with other words about the files of roles.
func relist(t *testing.T, d *repotest.Daily, edit func(meta map[string]any)) {
	t.Helper()
	root := d.Published(t).Root
	var number int64
	signed := func(role string, change func(signed map[string]any)) []byte {
		return d.Resign(t, []byte(repotest.Read(t, d.Repo, "repository/"+role+".json")), func(signed map[string]any) {
			n, err := signed["version"].(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			number = n + 1
			signed["version"] = number
			change(signed)
		}, root.Keys(role)[0].ID)
	}
	snapshot := signed(meta.RoleSnapshot, func(signed map[string]any) { edit(signed["meta"].(map[string]any)) })
	repotest.Write(t, d.Repo, "repository/snapshot.json", string(snapshot))
	repotest.Write(t, d.Repo, "repository/"+strconv.FormatInt(number, 10)+".snapshot.json", string(snapshot))
	sum := sha512.Sum512(snapshot)
	of := map[string]any{"version": number, "length": len(snapshot), "hashes": map[string]any{"sha512": hex.EncodeToString(sum[:])}}
	repotest.Write(t, d.Repo, "repository/timestamp.json", string(signed(meta.RoleTimestamp, func(signed map[string]any) {
		signed["meta"] = map[string]any{"snapshot.json": of}
	})))
}

// TestColdRoleWithoutHashes: a snapshot of another tool may give a role's version alone. Its
// file counts by that and by its signatures, which a release then looks at.
func TestColdRoleWithoutHashes(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 4)
	d.Archive(t, repotest.Keep(1))
	const role = "archive-orbit-linux"
	version := d.ColdRoles(t)[role].Version()
	relist(t, d, func(meta map[string]any) { meta[role+".json"] = map[string]any{"version": version} })
	if got := d.ColdRoles(t)[role]; got.Version() != version {
		t.Errorf("v%d", got.Version())
	}
	repotest.Judge(t, d.Repo)
	d.Add(t, d.Item(t, "orbit", "linux", "2.0.0", "edge"))
	repotest.Judge(t, d.Repo)

	name := "repository/" + strconv.FormatInt(version, 10) + "." + role + ".json"
	whole := repotest.Read(t, d.Repo, name)
	forged := d.Resign(t, []byte(whole), func(signed map[string]any) { signed["expires"] = "2099-01-01T00:00:00Z" }, d.Make(t).ID)
	for _, file := range []string{name, "repository/" + role + ".json"} {
		repotest.Write(t, d.Repo, file, string(forged))
	}
	p := d.Published(t)
	if _, err := edit.Add(d.Repo, p, nil, []edit.StagedItem{d.Item(t, "orbit", "linux", "2.0.1", "edge")}, repo.StageOptions{}); !errors.Is(err, meta.ErrMetadata) {
		t.Errorf("built on a role that its keys did not sign: %v", err)
	}
	later := d.Resign(t, []byte(whole), func(signed map[string]any) { signed["version"] = version + 1 }, p.Root.Keys(meta.RoleTargets)[0].ID)
	for _, file := range []string{name, "repository/" + role + ".json"} {
		repotest.Write(t, d.Repo, file, string(later))
	}
	p, err := d.Load()
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], role+".json") {
		t.Errorf("another version: %v, %v", p.Warnings, err)
	}
}

// TestDryStage: a dry run reads and hashes a file and leaves it where it is.
func TestDryStage(t *testing.T) {
	t.Parallel()
	r, _ := repotest.New(t, true)
	file := repotest.Folder(t) + "/f"
	put := func(dry bool) (repo.Content, *repo.Repo) {
		at := repo.Open(r.Dir(), repo.Options{DryRun: dry})
		c, err := at.Stage(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, at
	}
	writeAt(t, file, "content")
	dry, at := put(true)
	if _, err := at.OpenContent(nil, dry); err != nil {
		t.Error(err)
	}
	if found, _ := os.ReadDir(r.Dir() + "/pending/content"); len(found) > 0 {
		t.Errorf("a dry run wrote %q", found)
	}
	if wet, _ := put(false); wet.SHA512 != dry.SHA512 || wet.Length != dry.Length {
		t.Errorf("%+v, and %+v in earnest", dry, wet)
	}
	for _, bad := range []string{"", "gone", "."} {
		if bad == "" {
			writeAt(t, file, "")
			bad = "f"
		}
		for _, dry := range []bool{true, false} {
			var e *repo.ContentError
			if _, err := repo.Open(r.Dir(), repo.Options{DryRun: dry}).Stage(t.Context(), strings.TrimSuffix(file, "f")+bad, nil); !errors.As(err, &e) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}

// TestFaultyError: the first fault is named with its file, and how many more there are.
func TestFaultyError(t *testing.T) {
	t.Parallel()
	err := &repo.FaultyError{Faults: []repo.Fault{{Code: "expired", File: "root.json", Text: "since long"}, {Code: "mixed", Text: "so it is"}}}
	if want := `clients refuse what would be published on this: expired "root.json": since long (and 1 more)`; err.Error() != want {
		t.Errorf("%s", err)
	}
	if got := err.Faults[1].String(); got != "mixed: so it is" {
		t.Errorf("%s", got)
	}
}

func writeAt(t *testing.T, file, data string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}
