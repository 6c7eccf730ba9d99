package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Migrate stages a root that says consistent snapshots, on a flat repository. At
// commit every target is put under its hashed name and N.targets.json and
// N.snapshot.json of the versions in force are written before the root that tells
// clients to ask for them, so that agents verify at every moment. The plain files
// stay for agents that are just fetching; [Repo.Unreferenced] lists them once the grace is
// over. Everything that could fail at commit is refused here. Errors:
// *RefusedError{NoChange, MissingContent}, *NameError, *ContentError.
func (r *Repo) Migrate(p *Published, staged *Change, opts StageOptions) (*Change, error) {
	c := r.start(p, staged)
	if c.root.ConsistentSnapshot() {
		return nil, meta.Refuse(meta.NoChange, "the repository has consistent snapshots already")
	}
	if err := r.checkHashable(p); err != nil {
		return nil, err
	}
	root := c.root.Clone()
	root.SetConsistent()
	if err := r.restageRoot(p, c, root, opts); err != nil {
		return nil, err
	}
	c.intend("migrate to consistent snapshots (%d targets under hashed names)", c.currentTargets(p).Len())
	return c, r.resignTargets(p, c, opts)
}

// checkHashable refuses targets that cannot be given a hashed name.
func (r *Repo) checkHashable(p *Published) error {
	for _, name := range p.Targets.Paths() {
		t, _, err := p.Targets.Get(name)
		if err != nil {
			return err
		}
		if err := meta.CheckPath(name); err != nil {
			return err
		}
		if t.SHA512 == "" {
			return meta.Refuse(meta.MissingContent, "target %q has no sha512, so it cannot be given a hashed name; add it again or remove it first", name)
		}
		if last := path.Base(name); len(last) > meta.MaxLastElement {
			return &meta.NameError{What: "target file name", Value: last, Reason: fmt.Sprintf("%d bytes; at most %d fit behind a hash; remove it first", len(last), meta.MaxLastElement)}
		}
		file := r.web("targets/" + name)
		err = sizeIs(file, t)
		if errors.Is(err, fs.ErrNotExist) {
			return meta.Refuse(meta.MissingContent, "target %q is in targets.json and not in the folder; add it again or remove it first", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Oddity is something that another tool wrote in a way of its own. Agents accept it,
// and the next version of the file is written without it.
type Oddity struct {
	File string `json:"file"`
	What string `json:"what"`
}

// Oddities looks at the form of the published metadata: expiries in a local zone,
// JSON that is not compact. Files that cannot be read are passed over; [Repo.Load]
// says what is wrong with them.
func (r *Repo) Oddities() []Oddity {
	var out []Oddity
	for _, role := range meta.Roles() {
		name := role + ".json"
		data, err := r.readMetadata(name, tuf.MaxSize(role))
		if err != nil {
			continue
		}
		for _, what := range oddForm(data) {
			out = append(out, Oddity{File: "repository/" + name, What: what})
		}
	}
	return out
}

func oddForm(data []byte) []string {
	var f struct {
		Signed struct {
			Expires string `json:"expires"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil
	}
	var out []string
	if _, err := time.Parse(time.RFC3339, f.Signed.Expires); err == nil && !strings.HasSuffix(f.Signed.Expires, "Z") {
		out = append(out, fmt.Sprintf("expires is written in a local zone (%s)", f.Signed.Expires))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err == nil && compact.Len() != len(data) {
		out = append(out, fmt.Sprintf("JSON with %d bytes of blanks and line ends; a store that compacts it changes its length and hash", len(data)-compact.Len()))
	}
	return out
}
