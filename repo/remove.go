package repo

import (
	"fmt"
	"slices"
	"strings"
)

// Removal says which targets are taken out: by path, or all of a channel.
type Removal struct {
	Paths   []string
	Channel string
	// Names and Platforms narrow a channel; empty means all.
	Names, Platforms []string
}

// Remove stages targets without some of their paths and lists those. The bytes stay
// in the repository until [Repo.Collect]. Errors: *NameError, *RefusedError.
func (r *Repo) Remove(p *Published, staged *Change, rm Removal, opts StageOptions) (*Change, []string, error) {
	c := r.start(p, staged)
	t := c.currentTargets(p).clone()
	rows, role, err := allRows(p, c, t)
	if err != nil {
		return nil, nil, err
	}
	gone, err := rm.paths(t, rows, role)
	if err != nil {
		return nil, nil, err
	}
	cold := map[string]*Targets{}
	for _, path := range gone {
		if name := role[path]; name == "" || name == RoleTargets {
			delete(t.entries, path)
		} else if err := dropCold(p, c, cold, name, path); err != nil {
			return nil, nil, err
		}
		c.intend("remove %s", path)
	}
	for name, t := range cold {
		c.stageCold(name, t)
	}
	return c, gone, r.restage(p, c, t, opts)
}

// meant names the target that a path of the file system, or of a URL, leads to.
func meant(t *Targets, path string) string {
	if _, rest, ok := strings.Cut("/"+path, "/targets/"); ok && t.entries[rest] != nil {
		return fmt.Sprintf("; did you mean %q?", rest)
	}
	return ""
}

func (rm Removal) paths(t *Targets, rows []Row, role map[string]string) ([]string, error) {
	var out []string
	for _, path := range rm.Paths {
		if _, ok := t.entries[path]; !ok && role[path] == "" {
			return nil, refuse(NoChange, "no target %q is published%s", path, meant(t, path))
		}
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	if rm.Channel == "" {
		return out, nil
	}
	if err := checkElement("channel", rm.Channel); err != nil {
		return nil, err
	}
	narrow := Promotion{Names: rm.Names, Platforms: rm.Platforms}
	slices.SortFunc(rows, compareRows)
	for _, row := range rows {
		if row.Channel == rm.Channel && narrow.covers(row) && !slices.Contains(out, row.Path) {
			out = append(out, row.Path)
		}
	}
	if len(out) == 0 {
		return nil, refuse(NoChange, "channel %q holds no such target", rm.Channel)
	}
	return out, nil
}
