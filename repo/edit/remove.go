package edit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
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
func Remove(r *repo.Repo, p *repo.Published, staged *repo.Change, rm Removal, opts repo.StageOptions) (*repo.Change, []string, error) {
	c := r.Start(p, staged)
	t := c.CurrentTargets(p).Clone()
	rows, role, err := allRows(p, c, t)
	if err != nil {
		return nil, nil, err
	}
	gone, err := toRemove(r, p, rm, t, rows, role)
	if err != nil {
		return nil, nil, err
	}
	cold := map[string]*meta.Targets{}
	for _, path := range gone {
		if name := role[path]; name == "" || name == meta.RoleTargets {
			t.Remove(path)
		} else if err := dropCold(p, c, cold, name, path); err != nil {
			return nil, nil, err
		}
		c.Intend("remove %s", path)
	}
	for name, t := range cold {
		c.StageCold(name, t)
	}
	return c, gone, r.Restage(p, c, t, opts)
}

// meant names the target that a path of the file system, or of a URL, leads to.
func meant(t *meta.Targets, path string) string {
	if _, rest, ok := strings.Cut("/"+path, "/targets/"); ok && t.Entry(rest) != nil {
		return fmt.Sprintf("; did you mean %q?", rest)
	}
	return ""
}

// toRemove lists the paths that a removal takes out. What was taken out before is no
// mistake, and nothing to do; what never was there is.
func toRemove(r *repo.Repo, p *repo.Published, rm Removal, t *meta.Targets, rows []meta.Row, role map[string]string) ([]string, error) {
	var out []string
	before := 0
	for _, path := range rm.Paths {
		if t.Entry(path) != nil || role[path] != "" {
			if !slices.Contains(out, path) {
				out = append(out, path)
			}
			continue
		}
		gone, err := removedBefore(r, p, nil, path)
		if err != nil {
			return nil, err
		}
		if len(gone) == 0 {
			return nil, notFound(path, column(rows, pathOf), "no target %q is published%s", path, meant(t, path))
		}
		before++
	}
	if rm.Channel != "" {
		list, err := rm.inChannel(rows)
		if err != nil {
			return nil, err
		}
		for _, path := range list {
			if !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if rm.Channel == "" && before > 0 {
		return nil, meta.Refuse(meta.NoChange, "it is not published any more")
	}
	return nil, emptyChannel(r, p, rm, rows)
}

// inChannel lists the paths of the channel.
func (rm Removal) inChannel(rows []meta.Row) (out []string, err error) {
	if err := meta.CheckElement("channel", rm.Channel); err != nil {
		return nil, err
	}
	slices.SortFunc(rows, meta.CompareRows)
	for _, row := range rows {
		if rm.covers(row) {
			out = append(out, row.Path)
		}
	}
	return out, nil
}

func (rm Removal) covers(row meta.Row) bool {
	return row.Channel == rm.Channel && Promotion{Names: rm.Names, Platforms: rm.Platforms}.covers(row)
}

// emptyChannel says why nothing of a channel can be removed.
func emptyChannel(r *repo.Repo, p *repo.Published, rm Removal, rows []meta.Row) error {
	gone, err := removedBefore(r, p, rm.covers)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		return meta.Refuse(meta.NoChange, "channel %q holds no such target any more", rm.Channel)
	}
	return notFound(rm.Channel, column(rows, channelOf), "channel %q holds no such target", rm.Channel)
}
