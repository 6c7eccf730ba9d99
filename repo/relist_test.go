package repo_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestGivenUpListsWhatWasListed: clients that have stored a snapshot with a cold role accept
// none that leaves it out. An older copy takes back the snapshot, or targets too, or the
// role's file: what is lost is given up only if the role can be listed again, and the next
// change lists it.
func TestGivenUpListsWhatWasListed(t *testing.T) {
	const cold, snapshot, targets = "archive-orbit-linux.json", "snapshot.json", "targets.json"
	for name, c := range map[string]struct {
		back    []string // files of before the first archive, or of before the second
		second  bool
		gone    bool // the role's file is lost
		forged  bool // somebody put one of a higher version in its place
		refused bool
		twice   bool // what the role holds stands in the older targets too
	}{
		"snapshot of before the archive":             {back: []string{snapshot}},
		"targets too":                                {back: []string{snapshot, targets}},
		"targets too, and the role is lost":          {back: []string{snapshot, targets}, gone: true, refused: true},
		"targets too, and a file of nobody's":        {back: []string{snapshot, targets}, forged: true, refused: true},
		"the role is lost":                           {back: []string{snapshot}, gone: true, refused: true},
		"snapshot of before the second":              {back: []string{snapshot}, second: true},
		"targets of before the second too":           {back: []string{snapshot, targets}, second: true, twice: true},
		"targets and the role of before the second":  {back: []string{snapshot, targets, cold}, second: true, refused: true, twice: true},
		"snapshot and the role of before the second": {back: []string{snapshot, cold}, second: true, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := repotest.NewDaily(t, false)
			d.Releases(t, 6)
			older := repotest.CopyWeb(t, d.Repo)
			d.Archive(t, repotest.Keep(3))
			if c.second {
				older = repotest.CopyWeb(t, d.Repo)
			}
			d.Archive(t, repotest.Keep(1))
			newest := repotest.CopyWeb(t, d.Repo)
			older.Over(t, d.Repo, c.back...)
			if c.gone {
				repotest.Remove(t, d.Repo, "repository/"+cold)
			}
			if c.forged {
				data := repotest.Read(t, d.Repo, "repository/"+cold)
				forged := regexp.MustCompile(`"version": ?[0-9]+`).ReplaceAllString(data, `"version":99`)
				if forged == data {
					t.Fatalf("no version in %.200s", data)
				}
				repotest.Write(t, d.Repo, "repository/"+cold, forged)
			}
			if _, err := d.Mend(false); err == nil {
				t.Fatal("nothing is said to be lost")
			}
			_, err := d.Mend(true)
			if (err != nil) != c.refused {
				t.Fatalf("giving up: %v", err)
			}
			if c.refused {
				repotest.RefusedAs(t, err, meta.LostVersions)
				if !strings.Contains(err.Error(), cold) {
					t.Errorf("it names another file: %v", err)
				}
				newest.Over(t, d.Repo, cold)
				if _, err := d.Mend(true); err != nil {
					t.Fatalf("with the role's file back: %v", err)
				}
			}
			if c.twice {
				repotest.RefusedAs(t, repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets), meta.ColdTrap)
				d.Archive(t, repotest.Keep(1)) // as the hint says
			}
			if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); err != nil {
				t.Fatal(err)
			}
			repotest.Follows(t, d.Repo, newest)
			if p := repotest.Load(t, d.Repo); !p.Lists("archive-orbit-linux") {
				t.Error("the role is not listed")
			}
		})
	}
}
