package edit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Promotion says which version goes from one channel to others.
type Promotion struct {
	Version string
	From    string
	To      []string
	// Names and Platforms narrow it; empty means all.
	Names, Platforms []string
	// AllowMissing goes on although the first To channel has something that would stay
	// behind.
	AllowMissing bool
}

// Promoted is one line of what a promotion changes.
type Promoted struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Channel  string `json:"channel"`
	// Before is the version in the channel until now, "" for none.
	Before string `json:"before"`
	After  string `json:"after"`
}

// MissingError: the channel has components or platforms that lack the version where
// it is promoted from.
type MissingError struct {
	Version, From, To string
	Missing           []string // "orbit for linux (edge has 1.2.0)"
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%d of %q would stay behind: version %s is not in %q for %s", len(e.Missing), e.To, e.Version, e.From, strings.Join(e.Missing, ", "))
}

// Is makes it a refusal.
func (e *MissingError) Is(target error) bool { return target == meta.ErrRefused }

func (pr Promotion) check() error {
	if err := meta.CheckElement("version", pr.Version); err != nil {
		return err
	}
	for _, ch := range append([]string{pr.From}, pr.To...) {
		if err := meta.CheckElement("channel", ch); err != nil {
			return err
		}
	}
	if slices.Contains(pr.To, pr.From) {
		return &meta.NameError{What: "destination channel", Value: pr.From, Reason: "is the one that it is promoted from"}
	}
	return nil
}

func (pr Promotion) covers(r meta.Row) bool {
	return (len(pr.Names) == 0 || slices.Contains(pr.Names, r.Name)) &&
		(len(pr.Platforms) == 0 || slices.Contains(pr.Platforms, r.Platform))
}

// Promote stages the targets of one channel that have a version under other channels
// too. At commit the content is hashed once and linked, not copied. Errors: *NameError, *MissingError, *RefusedError.
func Promote(r *repo.Repo, p *repo.Published, staged *repo.Change, pr Promotion, opts repo.StageOptions) (*repo.Change, []Promoted, error) {
	if err := pr.check(); err != nil {
		return nil, nil, err
	}
	c := r.Start(p, staged)
	t := c.CurrentTargets(p).Clone()
	from, err := inChannel(c, p, t, pr.From)
	if err != nil {
		return nil, nil, err
	}
	var moving []meta.Row
	for _, row := range from {
		if row.Version == pr.Version && pr.covers(row) {
			moving = append(moving, row)
		}
	}
	if len(moving) == 0 {
		return nil, nil, pr.nowhere(t, from)
	}
	if !pr.AllowMissing {
		if err := pr.complete(t, from, moving); err != nil {
			return nil, nil, err
		}
	}
	table, err := pr.apply(p, c, t, moving)
	if err != nil {
		return nil, nil, err
	}
	if len(table) == 0 {
		return nil, nil, meta.Refuse(meta.NoChange, "version %q is in %s already", pr.Version, strings.Join(pr.To, ", "))
	}
	c.Intend("promote %s from %s to %s (%d targets)", pr.Version, pr.From, strings.Join(pr.To, ", "), len(moving))
	return c, table, r.Restage(p, c, t, opts)
}

// nowhere says that there is nothing to promote, and what may have been meant.
func (pr Promotion) nowhere(t *meta.Targets, from []meta.Row) error {
	word, known := pr.Version, column(from, versionOf)
	if len(from) == 0 {
		rows, _, err := t.Rows()
		if err != nil {
			return err
		}
		word, known = pr.From, column(rows, channelOf)
	}
	return notFound(word, known, "version %q is not in channel %q%s", pr.Version, pr.From, whatIsThere(from, pr))
}

func whatIsThere(from []meta.Row, pr Promotion) string {
	var have []string
	for _, row := range from {
		if s := row.Name + " " + row.Version; pr.covers(row) && !slices.Contains(have, s) {
			have = append(have, s)
		}
	}
	if len(have) == 0 {
		return ", which is empty"
	}
	return ", which has " + strings.Join(have, ", ")
}

// complete refuses to leave something of the first To channel behind.
func (pr Promotion) complete(t *meta.Targets, from, moving []meta.Row) error {
	there, err := t.InChannel(pr.To[0])
	if err != nil {
		return err
	}
	e := &MissingError{Version: pr.Version, From: pr.From, To: pr.To[0]}
	for _, row := range there {
		same := func(o meta.Row) bool { return o.Name == row.Name && o.Platform == row.Platform }
		if !pr.covers(row) || slices.ContainsFunc(moving, same) {
			continue
		}
		has := "does not have it"
		if i := slices.IndexFunc(from, same); i >= 0 {
			has = "has " + from[i].Version
		}
		e.Missing = append(e.Missing, fmt.Sprintf("%s for %s (%s %s)", row.Name, row.Platform, pr.From, has))
	}
	if len(e.Missing) == 0 {
		return nil
	}
	return e
}

func (pr Promotion) apply(p *repo.Published, c *repo.Change, t *meta.Targets, moving []meta.Row) ([]Promoted, error) {
	var table []Promoted
	spelled := meta.Spellings(t)
	for _, row := range moving {
		for _, ch := range pr.To {
			dest := path.Join(row.Name, row.Platform, ch, row.File)
			old, _, err := t.Get(dest)
			if err != nil {
				return nil, err
			}
			if old.SHA512 == row.SHA512 && old.Version == row.Version {
				continue
			}
			if err := spelled.Take(dest); err != nil {
				return nil, err
			}
			if err := notArchived(c, p, dest); err != nil {
				return nil, err
			}
			if err := t.Set(meta.Target{Path: dest, Length: row.Length, SHA512: row.SHA512, Version: row.Version}); err != nil {
				return nil, err
			}
			table = append(table, Promoted{Name: row.Name, Platform: row.Platform, Channel: ch, Before: old.Version, After: row.Version})
		}
	}
	return table, nil
}
