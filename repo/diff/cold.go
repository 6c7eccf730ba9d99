package diff

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// moves knows which entries go from one role to another: what a role loses, and what
// another gains.
type moves struct {
	left, came map[string]seat
}

// seat is an entry and the role that has it.
type seat struct {
	role  string
	entry []byte
}

func newMoves(p *repo.Published, c *repo.Change) (*moves, error) {
	m := &moves{left: map[string]seat{}, came: map[string]seat{}}
	staged := c.StagedCold()
	if len(staged) == 0 || p == nil || p.Targets == nil {
		return m, nil
	}
	m.compare(meta.RoleTargets, p.Targets, c.Targets())
	for _, name := range staged {
		before, err := coldBefore(p, name)
		if err != nil {
			return nil, err
		}
		m.compare(name, before, c.ColdTargets(name))
	}
	return m, nil
}

func (m *moves) compare(role string, before, after *meta.Targets) {
	for path, raw := range before.All() {
		if after.Entry(path) == nil {
			m.left[path] = seat{role, raw}
		}
	}
	for path, raw := range after.All() {
		if before.Entry(path) == nil {
			m.came[path] = seat{role, raw}
		}
	}
}

// moved counts a path that a role loses to another, or gains from it, as it is.
func (rc *RoleReview) moved(m *moves, role, path string, before, after []byte) bool {
	from, to := m.left[path], m.came[path]
	if from.role == "" || to.role == "" || !bytes.Equal(from.entry, to.entry) {
		return false
	}
	if !(from.role == role && after == nil || to.role == role && before == nil) {
		return false
	}
	i := slices.IndexFunc(rc.Moved, func(t TargetsMoved) bool { return t.From == from.role && t.To == to.role })
	if i < 0 {
		rc.Moved = append(rc.Moved, TargetsMoved{From: from.role, To: to.role})
		i = len(rc.Moved) - 1
	}
	rc.Moved[i].Count++
	return true
}

// delegationLines says in words to whom targets delegates what; ok is false for what could
// not be said so, of a form that is not ours.
func delegationLines(before, after *meta.Targets) (lines []string, ok bool) {
	was, err := before.Delegated()
	if err != nil || !was.Ours {
		return nil, false
	}
	is, err := after.Delegated()
	if err != nil || !is.Ours {
		return nil, false
	}
	for _, cr := range is.Roles {
		old, had := was.Find(cr.Name)
		if had && slices.Equal(old.Patterns, cr.Patterns) && old.Threshold == cr.Threshold && slices.Equal(meta.IDs(old.Keys), meta.IDs(cr.Keys)) {
			continue
		}
		var keys []string
		for _, k := range cr.Keys {
			if !k.OwnID() {
				return nil, false // what the ID stands for has to be seen
			}
			keys = append(keys, k.ID.String())
		}
		lines = append(lines, fmt.Sprintf("role %q may sign for %s, by %d of %s", cr.Name, quotedList(cr.Patterns), cr.Threshold, strings.Join(keys, ", ")))
	}
	for _, cr := range was.Roles {
		if _, stays := is.Find(cr.Name); !stays {
			lines = append(lines, fmt.Sprintf("role %q is dropped", cr.Name))
		}
	}
	return lines, true
}

func quotedList(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, " and ")
}
