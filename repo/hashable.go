package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// CheckHashable refuses targets that cannot be given a hashed name.
func (r *Repo) CheckHashable(p *Published) error {
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
