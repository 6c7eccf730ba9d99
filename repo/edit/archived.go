package edit

import (
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// inChannel is that of targets and, unless it is a channel that moves, of the cold roles:
// they hold versions alone, and a version is a channel too.
func inChannel(c *repo.Change, p *repo.Published, t *meta.Targets, channel string) ([]meta.Row, error) {
	rows, err := t.InChannel(channel)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(rows, func(r meta.Row) bool { return r.Version != channel }) {
		return rows, nil
	}
	for _, name := range c.ColdNames(p) {
		cold, err := c.CurrentCold(p, name)
		if err != nil {
			return nil, err
		}
		more, err := cold.InChannel(channel)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	slices.SortFunc(rows, meta.CompareRows)
	return rows, nil
}

// notArchived refuses a path that lies in a cold role. Errors: *RefusedError{Archived}.
func notArchived(c *repo.Change, p *repo.Published, path string) error {
	role, t, err := c.ColdOf(p, path)
	if err != nil || role == "" {
		return err
	}
	return meta.Refuse(meta.Archived, "target %q (version %s) lies in the archive, in role %q", path, t.Version, role)
}

// hotPaths gives the paths of an item that are to stand in targets.json: an archived
// version stays where it is if the bytes are the same. Errors: *RefusedError{Archived}.
func hotPaths(c *repo.Change, p *repo.Published, paths []string, it StagedItem) ([]string, error) {
	var out []string
	for _, path := range paths {
		role, t, err := c.ColdOf(p, path)
		if err != nil {
			return nil, err
		}
		same := t.SHA512 == it.Content.SHA512 && t.Length == it.Content.Length && t.Version == it.Item.Version
		if role == "" {
			out = append(out, path)
		} else if !same {
			return nil, meta.Refuse(meta.Archived, "target %q lies in the archive with other bytes (sha512 %.16s; the new file has %.16s)", path, t.SHA512, it.Content.SHA512)
		}
	}
	if len(out) == 0 {
		return nil, meta.Refuse(meta.NoChange, "%s %s for %s lies in the archive, and no channel is given to publish it in", it.Item.Name, it.Item.Version, it.Item.Platform)
	}
	return out, nil
}
