package repo_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// reopenAt opens the same folder, whose lock the test holds, under another clock.
// stagers are the commands that date a role, with the role.
func stagers(t *testing.T, kr repotest.Keyring) map[string]struct {
	role  string
	stage func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error
} {
	type stager = struct {
		role  string
		stage func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error
	}
	return map[string]stager{
		"add": {meta.RoleTargets, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			content, _, _, err := r.PublishedContent(p, repotest.WebPath(r, "targets/orbit/linux/1/orbit"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = edit.Add(r, p, nil, []edit.StagedItem{{Item: meta.Item{Name: "orbit", Platform: "macos", Version: "1"}, Content: content}}, opts)
			return err
		}},
		"promote": {meta.RoleTargets, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			_, _, err := edit.Promote(r, p, nil, edit.Promotion{Version: "1", From: "stable", To: []string{"edge"}}, opts)
			return err
		}},
		"remove": {meta.RoleTargets, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			_, _, err := edit.Remove(r, p, nil, edit.Removal{Channel: "stable"}, opts)
			return err
		}},
		"renew targets": {meta.RoleTargets, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			_, err := edit.Renew(r, p, nil, meta.RoleTargets, opts)
			return err
		}},
		"renew root": {meta.RoleRoot, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			_, err := edit.Renew(r, p, nil, meta.RoleRoot, opts)
			return err
		}},
		"rotate": {meta.RoleRoot, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			_, err := edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleSnapshot, Add: []meta.Key{kr.Make(t)}}, opts)
			return err
		}},
		"migrate": {meta.RoleRoot, func(r *repo.Repo, p *repo.Published, opts repo.StageOptions) error {
			_, err := edit.Migrate(r, p, nil, opts)
			return err
		}},
	}
}

// TestShorterExpiryIsRefused: an expiry before the published one is a clock that went
// back, whoever sets it; two seconds are rounding; --allow-shorter takes it.
func TestShorterExpiryIsRefused(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	p := repotest.Load(t, r)
	for name, c := range stagers(t, kr) {
		for _, at := range []struct {
			back    time.Duration
			shorter bool
			refused bool
		}{{0, false, false}, {time.Second, false, false}, {time.Hour, false, true}, {time.Hour, true, false}} {
			early := repotest.At(r, time.Now().Add(-at.back))
			err := c.stage(early, p, repo.StageOptions{AllowShorter: at.shorter})
			if repotest.KindIs(meta.ShorterExpiry)(err) != at.refused || !at.refused && err != nil {
				t.Errorf("%s, clock back by %s, allowed %v: %v", name, at.back, at.shorter, err)
			}
		}
	}
	// Snapshot and timestamp are dated at commit, and refused before anybody signs.
	early := repotest.At(r, time.Now().Add(-time.Hour))
	c, err := edit.Renew(early, p, nil, meta.RoleTargets, repo.StageOptions{AllowShorter: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := early.CheckRelease(p, c, repo.ReleaseOptions{}); !repotest.KindIs(meta.ShorterExpiry)(err) {
		t.Errorf("CheckRelease by a clock that went back: %v", err)
	}
	if err := early.CheckRelease(p, c, repo.ReleaseOptions{AllowShorter: true}); err != nil {
		t.Errorf("CheckRelease, allowed: %v", err)
	}
	if err := repotest.TryStamp(early, kr); !repotest.KindIs(meta.ShorterExpiry)(err) {
		t.Errorf("timestamp by a clock that went back: %v", err)
	}
}

// TestExpiriesAreUTC: COMPAT 1.3: with Z and whole seconds, wherever the operator sits.
func TestExpiriesAreUTC(t *testing.T) {
	r, kr := repotest.New(t, true)
	there := repotest.At(r, time.Now().Add(time.Hour).In(time.FixedZone("here", -3*3600)))
	repotest.Rotate(t, there, kr, meta.RoleTargets)
	for _, name := range plainFiles {
		var f struct {
			Signed struct{ Expires string }
		}
		if err := json.Unmarshal([]byte(repotest.Read(t, r, "repository/"+name)), &f); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02T15:04:05Z", f.Signed.Expires)
		if err != nil || !at.After(time.Now()) {
			t.Errorf("%s expires %q", name, f.Signed.Expires)
		}
	}
	if odd := edit.Oddities(r); len(odd) > 0 {
		t.Errorf("what we wrote is odd: %v", odd)
	}
}

// TestExpired: what clients refuse carries no timestamp; an expired targets does, since
// agents go on without lookups and a new one needs it (COMPAT 5.3).
func TestExpired(t *testing.T) {
	r, _ := repotest.New(t, true)
	years := func(n int) time.Time { return time.Now().AddDate(n, 0, 0) }
	for name, c := range map[string]struct {
		at   time.Time
		role string // that is named, "" for none
	}{
		"today":              {time.Now(), ""},
		"timestamp expired":  {time.Now().AddDate(0, 1, 0), ""},
		"snapshot expired":   {years(4), meta.RoleSnapshot},
		"everything expired": {years(11), meta.RoleRoot},
	} {
		_, err := repotest.At(r, c.at).Timestamp(repo.ReleaseOptions{})
		var expired *meta.ExpiredError
		if errors.As(err, &expired) != (c.role != "") || expired != nil && expired.Role != c.role || c.role == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if expired != nil && (!errors.Is(err, meta.ErrExpired) || !strings.Contains(err.Error(), c.role+" v1 expired ")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := repotest.Load(t, r)
	if err := p.Expired(p.ExpiresOf("root"), meta.Roles()...); err == nil {
		t.Error("at the second of its expiry root counts as good")
	}
}

// TestCommitWithoutTimestamp: another machine signs it later. In the flat layout clients
// would fail until then, and after a change of the timestamp's keys in any layout.
func TestCommitWithoutTimestamp(t *testing.T) {
	without := repo.ReleaseOptions{WithoutTimestamp: true}
	flat, kr := repotest.New(t, false)
	p, c, err := repotest.Put(t, flat, "one", repotest.Item("1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := flat.CheckRelease(p, c, without); !repotest.KindIs(meta.FlatLayout)(err) {
		t.Errorf("in the flat layout: %v", err)
	}
	r, kr2 := repotest.New(t, true)
	p = repotest.Load(t, r)
	if c, err = edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleTimestamp, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckRelease(p, c, without); !repotest.KindIs(meta.TimestampKeys)(err) {
		t.Errorf("with other timestamp keys: %v", err)
	}

	before := repotest.CopyWeb(t, r)
	if p, c, err = repotest.Put(t, r, "one", repotest.Item("1")); err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Docs() {
		kr2.Sign(t, d)
	}
	if got := r.Following(p, c, without); strings.Join(got, " ") != "snapshot" {
		t.Errorf("it will sign %v; want snapshot alone", got)
	}
	rel, err := r.Release(p, c, without)
	if err != nil {
		t.Fatal(err)
	}
	kr2.SignAndCommit(t, r, rel)
	if v := rel.Versions(); v[meta.RoleTargets] != 2 || v[meta.RoleSnapshot] != 2 || v[meta.RoleTimestamp] != 1 {
		t.Errorf("published %v", v)
	}
	now := repotest.CopyWeb(t, r)
	if now["timestamp.json"] != before["timestamp.json"] || now["2.snapshot.json"] == "" || now["2.targets.json"] == "" {
		t.Error("the timestamp was touched, or the numbered files are not in place")
	}
	repotest.Follows(t, r, before)
	waiting, err := r.Load()
	if err != nil || !waiting.AwaitsTimestamp() || !waiting.NeedsTimestamp() || waiting.NeedsTargets() {
		t.Fatalf("%v; awaits %v", err, waiting.AwaitsTimestamp())
	}
	repotest.Stamp(t, r, kr2)
	repotest.Judge(t, r)
	if p := repotest.Load(t, r); p.AwaitsTimestamp() || p.NeedsTimestamp() || p.Timestamp.Meta().Version != 2 {
		t.Error("the next timestamp does not name the new snapshot")
	}
}
