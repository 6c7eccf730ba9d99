package repo_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// TestGivenUp: what is lost was given up. Nothing is handed out and no timestamp goes on
// until targets and snapshot are signed above what agents have seen; files that do not
// verify any more are only passed over.
func TestGivenUp(t *testing.T) {
	r, kr := newRepo(t, false)
	add(t, r, kr, "one", item("1"))
	old := copyWeb(t, r)
	add(t, r, kr, "two", item("2"))
	seen := copyWeb(t, r)
	was := load(t, r)
	old.over(t, r, "targets.json", "snapshot.json", "targets/orbit/linux/stable/orbit")
	// A timestamp of other keys, with a version that agents may have seen.
	write(t, r, "repository/timestamp.json", string(kr.resign(t, []byte(seen["timestamp.json"]), setTo("version", 7), was.Root.Keys("root")[0].ID)))
	if _, err := r.Mend(true); err != nil {
		t.Fatal(err)
	}
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	if !p.NeedsTargets() || len(p.Warnings) == 0 {
		t.Errorf("needs targets %v, warnings %q", p.NeedsTargets(), p.Warnings)
	}
	if err := tryStamp(r, kr); !kindIs(meta.SignAbove)(err) {
		t.Errorf("a timestamp: %v", err)
	}
	if err := r.CheckPublishable(p); !kindIs(meta.SignAbove)(err) {
		t.Errorf("publishing: %v", err)
	}
	if err := renew(r, kr, meta.RoleTargets); err != nil {
		t.Fatal(err)
	}
	now := load(t, r)
	for role, least := range map[string]int64{"targets": was.VersionOf("targets") + 1, "snapshot": was.VersionOf("snapshot") + 1, "timestamp": 8} {
		if got := now.VersionOf(role); got < least {
			t.Errorf("%s v%d is signed; want at least v%d", role, got, least)
		}
	}
	follows(t, r, seen)
	if err := errors.Join(tryStamp(r, kr), r.CheckPublishable(load(t, r))); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestRotationIsLost: root names new targets keys, and what they signed is gone. The
// newest targets that were published from here do as the base of the next; nothing else
// that the old key signed does, such as a thief's.
func TestRotationIsLost(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := newRepo(t, consistent)
		add(t, r, kr, "one", item("1"))
		old := load(t, r).Root.Keys(meta.RoleTargets)[0].ID
		other := clone(t, r)
		remove(t, other, "pending/history.json")
		rotate(t, other, kr, meta.RoleTargets)
		copyWeb(t, other).over(t, r, "root.json", "2.root.json")
		forged := clone(t, r)
		write(t, forged, "repository/targets.json", string(kr.resign(t, []byte(read(t, r, "repository/targets.json")), func(signed map[string]any) {
			delete(signed["targets"].(map[string]any), "orbit/linux/1/orbit")
		}, old)))
		for name, f := range map[string]*repo.Repo{"published": r, "forged": forged} {
			if _, err := f.Mend(false); !kindIs(meta.LostVersions)(err) {
				t.Errorf("%s: mended: %v", name, err)
			}
		}
		if _, err := forged.Mend(true); err == nil {
			t.Error("what the replaced key signed is the base of the next targets")
		}
		if _, err := r.Mend(true); err != nil {
			t.Fatal(err)
		}
		if err := renew(r, kr, meta.RoleTargets); err != nil {
			t.Fatal(err)
		}
		add(t, r, kr, "two", item("2"))
		judge(t, r)
		if got := load(t, r).VersionOf(meta.RoleTargets); got < 3 {
			t.Errorf("targets v%d", got)
		}
	})
}

// TestErrorsSayWhat: lower case, the key or file in quotes, how much is left; told apart by
// type (STYLE 5).
func TestErrorsSayWhat(t *testing.T) {
	cause := errors.New("the cause")
	now := time.Date(2030, 1, 10, 0, 0, 0, 0, time.UTC)
	key := keyring{}.make(t)
	for want, c := range map[string]struct{ err, is error }{
		`"repository/x": why: the cause`:  {&meta.FileError{File: "repository/x", Reason: "why", Err: cause}, meta.ErrMetadata},
		`target file "a": why: the cause`: {&repo.ContentError{Path: "a", Reason: "why", Err: cause}, repo.ErrContent},
		`channel "a/b": why`:              {&meta.NameError{What: "channel", Value: "a/b", Reason: "why"}, meta.ErrName},
		`root v2 expired 9 days ago (2030-01-01T00:00:00Z); clients refuse it`:        {&meta.ExpiredError{Role: "root", Version: 2, Now: now, Expired: now.AddDate(0, 0, -9)}, meta.ErrExpired},
		`root v2 expired 5 hours ago (2030-01-09T19:00:00Z); clients refuse it`:       {&meta.ExpiredError{Role: "root", Version: 2, Now: now, Expired: now.Add(-5 * time.Hour)}, meta.ErrExpired},
		`root v2 expired 1m0s ago (2030-01-09T23:59:00Z); clients refuse it`:          {&meta.ExpiredError{Role: "root", Version: 2, Now: now, Expired: now.Add(-time.Minute)}, meta.ErrExpired},
		`root v2 has 1 of 2 signatures; keys that could still sign: ` + key.ShortID(): {&meta.ShortError{Role: "root", Version: 2, Have: 1, Need: 2, Missing: []meta.Key{key}}, meta.ErrShort},
		`"pending/lock" is held by add (process 1); gave up after 1s`:                 {&repo.LockedError{Path: "pending/lock", Waited: time.Second, Holder: "add (process 1)"}, repo.ErrLocked},
		`signature of key ` + key.ShortID() + ` over root: the cause`:                 {&meta.SignatureError{Role: "root", KeyID: key.ID, Err: cause}, cause},
		`publishing was interrupted half way: the cause`:                              {&repo.InterruptedError{Err: cause}, cause},
		`1 of "stable" would stay behind: version 2 is not in "edge" for orbit`:       {&repo.MissingError{Version: "2", From: "edge", To: "stable", Missing: []string{"orbit"}}, meta.ErrRefused},
	} {
		if c.err.Error() != want || !errors.Is(c.err, c.is) {
			t.Errorf("%v; want %s, which is %v", c.err, want, c.is)
		}
	}
}

// TestCheckNames: new names that not every web root holds are refused before anything is
// staged; what is published or staged already counts.
func TestCheckNames(t *testing.T) {
	r, kr := newRepo(t, true)
	add(t, r, kr, "one", item("1"))
	p := load(t, r)
	it := func(name, version string, channels ...string) repo.Item {
		return repo.Item{Name: name, Platform: "linux", Version: version, Channels: channels}
	}
	for name, c := range map[string]struct {
		items []repo.Item
		ok    bool
	}{
		"what is there":            {[]repo.Item{item("1")}, true},
		"a new channel":            {[]repo.Item{it("orbit", "2", "edge")}, true},
		"a name in other case":     {[]repo.Item{it("Orbit", "2")}, false},
		"a channel in other case":  {[]repo.Item{it("orbit", "2", "Stable")}, false},
		"two new, in other case":   {[]repo.Item{it("orbit", "2", "edge"), it("orbit", "3", "Edge")}, false},
		"a device of Windows":      {[]repo.Item{it("nul", "2")}, false},
		"a version that is a path": {[]repo.Item{it("orbit", "../2")}, false},
	} {
		if err := r.CheckNames(p, nil, c.items); (err == nil) != c.ok || err != nil && !isName(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReviewLooksAtTheClock: a change from the future, an old one, one that is expired or
// valid for longer than usual is said to be so before anybody signs.
func TestReviewLooksAtTheClock(t *testing.T) {
	kr := keyring{}
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{kr.make(t)}
	}
	made := time.Now()
	r := repo.Open(folder(t), repo.Options{Now: func() time.Time { return made }})
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
		review, err := repo.NewReview(nil, c, e.usual, e.at)
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

// TestCopiesThatClientsRead: with consistent snapshots clients read the numbered files. One
// that is missing, or that nobody signed, comes back from the plain file; one that is
// signed stays, whatever it says.
func TestCopiesThatClientsRead(t *testing.T) {
	for name, wreck := range map[string]func(t *testing.T, r *repo.Repo, file string){
		"missing": func(t *testing.T, r *repo.Repo, file string) { remove(t, r, file) },
		"no JSON": func(t *testing.T, r *repo.Repo, file string) { write(t, r, file, "<html>") },
		"cut off": func(t *testing.T, r *repo.Repo, file string) { write(t, r, file, read(t, r, file)[:200]) },
		"unsigned": func(t *testing.T, r *repo.Repo, file string) {
			write(t, r, file, strings.Replace(read(t, r, file), `"spec_version":"1.0"`, `"spec_version":"1.0.0"`, 1))
		},
	} {
		for _, file := range []string{"repository/2.targets.json", "repository/2.snapshot.json"} {
			t.Run(name+" "+file, func(t *testing.T) {
				r, kr := newRepo(t, true)
				add(t, r, kr, "one", item("1"))
				was := read(t, r, file)
				wreck(t, r, file)
				m, err := r.Mend(false)
				if err != nil || len(m.Done) != 1 || read(t, r, file) != was {
					t.Fatalf("mended %q, %v", m.Done, err)
				}
				judge(t, r)
				add(t, r, kr, "two", item("2"))
				judge(t, r)
			})
		}
	}
	r, kr := newRepo(t, true)
	add(t, r, kr, "one", item("1"))
	signed := kr.resign(t, []byte(read(t, r, "repository/targets.json")), setTo("expires", "2036-12-06T17:07:47Z"), load(t, r).Root.Keys("targets")[0].ID)
	write(t, r, "repository/2.targets.json", string(signed))
	if _, err := r.Mend(false); err == nil || read(t, r, "repository/2.targets.json") != string(signed) {
		t.Errorf("what somebody signed is replaced: %v", err)
	}
}
