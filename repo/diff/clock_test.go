package diff_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestReviewLooksAtTheClock: a change from the future, an old one, one that is expired or
// valid for longer than usual is said to be so before anybody signs.
func TestReviewLooksAtTheClock(t *testing.T) {
	kr := repotest.Keyring{}
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{kr.Make(t)}
	}
	made := time.Now()
	r := repo.Open(repotest.Folder(t), repo.Options{Now: func() time.Time { return made }})
	c, err := r.Init(repo.InitOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]struct {
		at    time.Time
		usual meta.Expiries
		want  string // "" for no warning
	}{
		"now":               {made, meta.DefaultExpiries(), ""},
		"before it is made": {made.AddDate(0, 0, -3), meta.DefaultExpiries(), "days in the future"},
		"months later":      {made.AddDate(0, 5, 0), meta.DefaultExpiries(), "days ago"},
		"when it is over":   {made.AddDate(20, 0, 0), meta.DefaultExpiries(), "expired already"},
		"longer than usual": {made, meta.Expiries{"root": time.Hour, "targets": time.Hour}, "longer than the usual"},
	} {
		review, err := diff.New(nil, c, e.usual, e.at)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, rc := range review.Roles {
			said = append(said, rc.Warnings...)
		}
		if e.want == "" && len(said) > 0 || e.want != "" && !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, e.want) }) {
			t.Errorf("%s: warnings %q; want %q", name, said, e.want)
		}
	}
}
