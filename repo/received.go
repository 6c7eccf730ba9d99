package repo

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Files are a change as metadata files, with the signatures they have; nil for what stays as
// published.
type Files struct {
	Root, Targets json.RawMessage
	Cold          map[string]json.RawMessage // by role
}

// ReadChange makes a change of what somebody sent, on top of p (nil at init). Signatures that
// do not verify are dropped and named in its Warnings. What it says is not judged yet: see
// [CheckDelegations]. Errors: *FileError.
func ReadChange(file string, p *Published, from Files, intents []string, created time.Time) (*Change, error) {
	f := changeFile{Schema: 1, Created: created, Intents: intents, Root: from.Root, Targets: from.Targets, Cold: from.Cold}
	if p != nil {
		f.BaseRoot, f.BaseTargets = p.Root.Version(), p.VersionOf(meta.RoleTargets)
	}
	return assemble(file, f, p)
}

// ReadPublished makes published root and targets of what somebody sent: targets is empty if
// they are not needed, and then there are no cold roles. Which root to trust is for the
// caller to say. Errors: *FileError.
func ReadPublished(file string, root, targets json.RawMessage, cold map[string]json.RawMessage) (*Published, error) {
	p := &Published{rootData: root}
	var err error
	if p.Root, p.rootEnv, err = meta.OpenRoot(file, root); err != nil || len(targets) == 0 {
		return p, err
	}
	env, err := meta.ParseEnvelope(targets)
	if err != nil {
		return nil, &meta.FileError{File: file, Reason: "published targets", Err: err}
	}
	if err := meta.Verify(p.Root, meta.RoleTargets, file, env); err != nil {
		return nil, fmt.Errorf("published targets: %w", err)
	}
	t, err := meta.ParseTargets(env.Text())
	if err != nil {
		return nil, &meta.FileError{File: file, Reason: "published targets", Err: err}
	}
	p.Targets, p.targetsEnv, p.targetsData = t, env, targets
	return p, p.takeCold(file, cold)
}

// File gives the published bytes of root or targets; nil for what was not read.
func (p *Published) File(role string) []byte {
	if role == meta.RoleRoot {
		return p.rootData
	}
	return p.targetsData
}

// ColdFiles gives the published files of the cold roles that a change signs anew.
func (p *Published) ColdFiles(c *Change) (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	for name := range c.cold {
		f := p.cold[name]
		if f == nil {
			continue // a new one
		}
		if f.err != nil {
			return nil, f.err
		}
		if out == nil {
			out = map[string]json.RawMessage{}
		}
		out[name] = f.data
	}
	return out, nil
}

// takeCold takes published cold roles that came with a request. Their signatures count by
// the keys that the published targets names.
func (p *Published) takeCold(file string, data map[string]json.RawMessage) error {
	p.cold = map[string]*coldFile{}
	for name, d := range data {
		p.cold[name] = &coldFile{name: name, data: d}
	}
	for name := range data {
		d, err := p.Targets.Delegated()
		if err != nil {
			return &meta.FileError{File: file, Reason: "published targets", Err: err}
		}
		if _, ok := d.Find(name); !ok {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("holds published role %.60q, to which the published targets does not delegate", name)}
		}
		if _, err := p.ColdTargets(name); err != nil {
			return fmt.Errorf("published role %q: %w", name, err)
		}
	}
	return nil
}
