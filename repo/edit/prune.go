package edit

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Pruning says which versions are taken out for good.
type Pruning struct {
	meta.Retention
	// Before, if it is not zero, spares what was published here later, and what cannot be
	// dated because its content is not here.
	Before time.Time
}

// Pruned is one entry that is taken out.
type Pruned struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Length  int64  `json:"length"`
	Role    string `json:"role"` // the one that held it
}

// Prune stages targets.json, and the cold roles that it touches, without old versions:
// never one that a channel names. Content stays until [Repo.RemoveUnreferenced]. undated is how many
// were spared because nothing here tells their age. Errors: *RefusedError{NoChange, ...}.
func Prune(r *repo.Repo, p *repo.Published, staged *repo.Change, pr Pruning, opts repo.StageOptions) (c *repo.Change, gone []Pruned, undated int, err error) {
	c = r.Start(p, staged)
	t := c.CurrentTargets(p).Clone()
	rows, role, err := allRows(p, c, t)
	if err != nil {
		return nil, nil, 0, err
	}
	cold := map[string]*meta.Targets{}
	for _, row := range pr.Surplus(rows) {
		old, dated := olderThan(r, p, row, pr.Before)
		if !dated {
			undated++
		}
		if !old {
			continue
		}
		name := role[row.Path]
		if name == meta.RoleTargets {
			t.Remove(row.Path)
		} else if err := dropCold(p, c, cold, name, row.Path); err != nil {
			return nil, nil, 0, err
		}
		gone = append(gone, Pruned{Path: row.Path, Version: row.Version, Length: row.Length, Role: name})
	}
	if len(gone) == 0 {
		return nil, nil, undated, meta.Refuse(meta.NoChange, "nothing to prune: of %d targets each is a channel, pinned, or to be kept", len(rows))
	}
	for name, t := range cold {
		c.StageCold(name, t)
	}
	c.Intend("%s", pr.intent(gone))
	return c, gone, undated, r.Restage(p, c, t, opts)
}

// allRows lists the entries of targets.json and of the cold roles, and which role each is in.
func allRows(p *repo.Published, c *repo.Change, t *meta.Targets) ([]meta.Row, map[string]string, error) {
	all, _, err := t.Rows()
	if err != nil {
		return nil, nil, err
	}
	role := map[string]string{}
	for _, row := range all {
		role[row.Path] = meta.RoleTargets
	}
	d, err := t.Delegated()
	if err != nil {
		return nil, nil, &meta.FileError{File: "repository/targets.json", Err: err}
	}
	for _, name := range c.ColdNames(p) {
		now, err := c.CurrentCold(p, name)
		if err != nil {
			return nil, nil, err
		}
		rows, _, err := now.Rows()
		if err != nil {
			return nil, nil, err
		}
		if _, ours := d.Find(name); !ours && len(rows) > 0 {
			return nil, nil, meta.Refuse(meta.ForeignRoles, "role %.60q is of a form that another tool made; its entries cannot be changed here", name)
		}
		for _, row := range rows {
			role[row.Path] = name
		}
		all = append(all, rows...)
	}
	return all, role, nil
}

// dropCold takes a path out of a cold role; cold keeps those that are changed.
func dropCold(p *repo.Published, c *repo.Change, cold map[string]*meta.Targets, name, path string) error {
	if cold[name] == nil {
		now, err := c.CurrentCold(p, name)
		if err != nil {
			return err
		}
		cold[name] = now.Clone()
	}
	cold[name].Remove(path)
	return nil
}

// olderThan reports whether the content of an entry lies here since before a moment.
func olderThan(r *repo.Repo, p *repo.Published, row meta.Row, before time.Time) (old, dated bool) {
	if before.IsZero() {
		return true, true
	}
	st, err := os.Lstat(r.PublishedPath(p, row.Path, row.SHA512))
	if err != nil || !st.Mode().IsRegular() {
		return false, false
	}
	return st.ModTime().Before(before), true
}

func (pr Pruning) intent(gone []Pruned) string {
	var versions []string
	for _, g := range gone {
		if !slices.Contains(versions, g.Version) {
			versions = append(versions, g.Version)
		}
	}
	if pr.Before.IsZero() {
		return fmt.Sprintf("prune %d targets of %d versions, and keep the newest %d", len(gone), len(versions), pr.Keep)
	}
	return fmt.Sprintf("prune %d targets of %d versions from before %s", len(gone), len(versions), pr.Before.UTC().Format(time.DateOnly))
}
