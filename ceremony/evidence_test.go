package ceremony_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestEvidence: what the published files tell of a signature that a transcript claims.
func TestEvidence(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		p := repotest.Load(t, r)
		c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: "targets", Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		key := p.Root.Keys("root")[0]
		d := c.Doc("root")
		sig := kr.Over(t, key, d.Payload())
		hash := d.Hash()
		old := p.Root.Keys("targets")[0]
		kr.Publish(t, r, p, c)
		p = repotest.Load(t, r)
		for name, e := range map[string]struct {
			role    string
			version int64
			hash    string
			key     tuf.KeyID
			sig     []byte
			want    ceremony.Evidence
		}{
			"good":                {"root", 2, hash, key.ID, sig, ceremony.EvidenceGood},
			"of another key":      {"root", 2, hash, old.ID, sig, ceremony.EvidenceBad},
			"of no key":           {"root", 2, hash, kr.Make(t).ID, sig, ceremony.EvidenceBad},
			"altered":             {"root", 2, hash, key.ID, append([]byte{^sig[0]}, sig[1:]...), ceremony.EvidenceBad},
			"over other bytes":    {"root", 2, strings.Repeat("0", 64), key.ID, sig, ceremony.EvidenceOther},
			"of a later version":  {"root", 3, hash, key.ID, sig, ceremony.EvidenceOther},
			"of a timestamp gone": {"timestamp", 1, hash, key.ID, sig, ceremony.EvidenceGone},
		} {
			got, err := ceremony.EvidenceOf(r, p, e.role, e.version, e.hash, e.key, e.sig)
			if err != nil || got != e.want {
				t.Errorf("%s: %q, %v; want %q", name, got, err, e.want)
			}
		}
		repotest.Write(t, r, "repository/2.root.json", `{"signatures":[],"signed":{"version":"x"}}`)
		if _, err := ceremony.EvidenceOf(r, p, "root", 2, hash, key.ID, sig); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("a file without a version: %v", err)
		}
	})
}

// TestEvidenceOfColdRoles: a signature by a cold key counts by the targets of its version.
func TestEvidenceOfColdRoles(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 4)
		own, other := d.Make(t), d.Make(t)
		a := repotest.Keep(1)
		a.Keys = []meta.Key{own}
		p := d.Published(t)
		c, _, err := edit.Archive(d.Repo, p, nil, a, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		const role = "archive-orbit-linux"
		doc := c.Doc(role)
		sig, version := d.Keyring.Over(t, own, doc.Payload()), doc.Version()
		d.Publish(t, d.Repo, p, c)
		p = d.Published(t)
		for name, e := range map[string]struct {
			key  meta.Key
			sig  []byte
			want ceremony.Evidence
		}{
			"good":           {own, sig, ceremony.EvidenceGood},
			"of another key": {other, d.Keyring.Over(t, other, doc.Payload()), ceremony.EvidenceBad},
			"altered":        {own, append([]byte{^sig[0]}, sig[1:]...), ceremony.EvidenceBad},
		} {
			if got, err := ceremony.EvidenceOf(d.Repo, p, role, version, doc.Hash(), e.key.ID, e.sig); err != nil || got != e.want {
				t.Errorf("%s: %q, %v; want %q", name, got, err, e.want)
			}
		}

		targets, cold := []byte(repotest.Read(t, d.Repo, "repository/targets.json")), []byte(repotest.Read(t, d.Repo, "repository/"+role+".json"))
		if err := meta.AcceptsCold(targets, role, cold); err != nil {
			t.Error(err)
		}
		byOther := d.Resign(t, cold, func(map[string]any) {}, other.ID)
		for name, files := range map[string][2][]byte{
			"signed by another key": {targets, byOther},
			"no targets":            {[]byte("{"), cold},
			"targets of a list":     {[]byte(`{"signatures":[],"signed":[]}`), cold},
			"no role":               {targets, []byte("{")},
		} {
			if err := meta.AcceptsCold(files[0], role, files[1]); !errors.Is(err, meta.ErrMetadata) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, data := range map[string]string{"no JSON": "{", "a list": `{"signatures":[],"signed":[]}`} {
			repotest.Write(t, d.Repo, "repository/targets.json", data)
			if consistent {
				repotest.Write(t, d.Repo, "repository/2.targets.json", data)
			}
			if _, err := ceremony.EvidenceOf(d.Repo, p, role, version, doc.Hash(), other.ID, sig); !errors.Is(err, meta.ErrMetadata) {
				t.Errorf("targets of %s: %v", name, err)
			}
		}
	})
}
