package repo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestGivenUp: what is lost was given up. Nothing is handed out and no timestamp goes on
// until targets and snapshot are signed above what agents have seen; files that do not
// verify any more are only passed over.
func TestGivenUp(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	old := repotest.CopyWeb(t, r)
	repotest.Add(t, r, kr, "two", repotest.Item("2"))
	seen := repotest.CopyWeb(t, r)
	was := repotest.Load(t, r)
	old.Over(t, r, "targets.json", "snapshot.json", "targets/orbit/linux/stable/orbit")
	// A timestamp of other keys, with a version that agents may have seen.
	repotest.Write(t, r, "repository/timestamp.json", string(kr.Resign(t, []byte(seen["timestamp.json"]), repotest.SetTo("version", 7), was.Root.Keys("root")[0].ID)))
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
	if err := repotest.TryStamp(r, kr); !repotest.KindIs(meta.SignAbove)(err) {
		t.Errorf("a timestamp: %v", err)
	}
	if err := r.CheckPublishable(p); !repotest.KindIs(meta.SignAbove)(err) {
		t.Errorf("publishing: %v", err)
	}
	if err := repotest.Renew(r, kr, meta.RoleTargets); err != nil {
		t.Fatal(err)
	}
	now := repotest.Load(t, r)
	for role, least := range map[string]int64{"targets": was.VersionOf("targets") + 1, "snapshot": was.VersionOf("snapshot") + 1, "timestamp": 8} {
		if got := now.VersionOf(role); got < least {
			t.Errorf("%s v%d is signed; want at least v%d", role, got, least)
		}
	}
	repotest.Follows(t, r, seen)
	if err := errors.Join(repotest.TryStamp(r, kr), r.CheckPublishable(repotest.Load(t, r))); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestRotationIsLost: root names new targets keys, and what they signed is gone. The
// newest targets that were published from here do as the base of the next; nothing else
// that the old key signed does, such as a thief's.
func TestRotationIsLost(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		old := repotest.Load(t, r).Root.Keys(meta.RoleTargets)[0].ID
		other := repotest.Clone(t, r)
		repotest.Remove(t, other, "pending/history.json")
		repotest.Rotate(t, other, kr, meta.RoleTargets)
		repotest.CopyWeb(t, other).Over(t, r, "root.json", "2.root.json")
		forged := repotest.Clone(t, r)
		repotest.Write(t, forged, "repository/targets.json", string(kr.Resign(t, []byte(repotest.Read(t, r, "repository/targets.json")), func(signed map[string]any) {
			delete(signed["targets"].(map[string]any), "orbit/linux/1/orbit")
		}, old)))
		for name, f := range map[string]*repo.Repo{"published": r, "forged": forged} {
			if _, err := f.Mend(false); !repotest.KindIs(meta.LostVersions)(err) {
				t.Errorf("%s: mended: %v", name, err)
			}
		}
		if _, err := forged.Mend(true); err == nil {
			t.Error("what the replaced key signed is the base of the next targets")
		}
		if _, err := r.Mend(true); err != nil {
			t.Fatal(err)
		}
		if err := repotest.Renew(r, kr, meta.RoleTargets); err != nil {
			t.Fatal(err)
		}
		repotest.Add(t, r, kr, "two", repotest.Item("2"))
		repotest.Judge(t, r)
		if got := repotest.Load(t, r).VersionOf(meta.RoleTargets); got < 3 {
			t.Errorf("targets v%d", got)
		}
	})
}

// TestErrorsSayWhat: lower case, the key or file in quotes, how much is left; told apart by
// type (STYLE 5).
func TestErrorsSayWhat(t *testing.T) {
	cause := errors.New("the cause")
	now := time.Date(2030, 1, 10, 0, 0, 0, 0, time.UTC)
	key := repotest.Keyring{}.Make(t)
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
		`1 of "stable" would stay behind: version 2 is not in "edge" for orbit`:       {&edit.MissingError{Version: "2", From: "edge", To: "stable", Missing: []string{"orbit"}}, meta.ErrRefused},
	} {
		if c.err.Error() != want || !errors.Is(c.err, c.is) {
			t.Errorf("%v; want %s, which is %v", c.err, want, c.is)
		}
	}
}

// TestCopiesThatClientsRead: with consistent snapshots clients read the numbered files. One
// that is missing, or that nobody signed, comes back from the plain file; one that is
// signed stays, whatever it says.
func TestCopiesThatClientsRead(t *testing.T) {
	for name, wreck := range map[string]func(t *testing.T, r *repo.Repo, file string){
		"missing": func(t *testing.T, r *repo.Repo, file string) { repotest.Remove(t, r, file) },
		"no JSON": func(t *testing.T, r *repo.Repo, file string) { repotest.Write(t, r, file, "<html>") },
		"cut off": func(t *testing.T, r *repo.Repo, file string) {
			repotest.Write(t, r, file, repotest.Read(t, r, file)[:200])
		},
		"unsigned": func(t *testing.T, r *repo.Repo, file string) {
			repotest.Write(t, r, file, strings.Replace(repotest.Read(t, r, file), `"spec_version":"1.0"`, `"spec_version":"1.0.0"`, 1))
		},
	} {
		for _, file := range []string{"repository/2.targets.json", "repository/2.snapshot.json"} {
			t.Run(name+" "+file, func(t *testing.T) {
				r, kr := repotest.New(t, true)
				repotest.Add(t, r, kr, "one", repotest.Item("1"))
				was := repotest.Read(t, r, file)
				wreck(t, r, file)
				m, err := r.Mend(false)
				if err != nil || len(m.Done) != 1 || repotest.Read(t, r, file) != was {
					t.Fatalf("mended %q, %v", m.Done, err)
				}
				repotest.Judge(t, r)
				repotest.Add(t, r, kr, "two", repotest.Item("2"))
				repotest.Judge(t, r)
			})
		}
	}
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	signed := kr.Resign(t, []byte(repotest.Read(t, r, "repository/targets.json")), repotest.SetTo("expires", "2036-12-06T17:07:47Z"), repotest.Load(t, r).Root.Keys("targets")[0].ID)
	repotest.Write(t, r, "repository/2.targets.json", string(signed))
	if _, err := r.Mend(false); err == nil || repotest.Read(t, r, "repository/2.targets.json") != string(signed) {
		t.Errorf("what somebody signed is replaced: %v", err)
	}
}
