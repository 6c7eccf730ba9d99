package review

import (
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// maxAgents is how many lines say what agents will do; the changes themselves are listed
// in full.
const maxAgents = 5

// showAgents says what agents will do differently once this is published.
func showAgents(w *prompt.Writer, rc diff.RoleReview) {
	lines := agents(rc)
	label := "agents"
	for i, l := range lines {
		if i == maxAgents-1 && len(lines) > maxAgents {
			w.Item(label, prompt.Sprintf("and so on for %d more, listed below", len(lines)-i))
			return
		}
		w.Item(label, l)
		label = ""
	}
}

func agents(rc diff.RoleReview) []prompt.Text {
	switch {
	case rc.Role == meta.RoleRoot:
		return agentsOfRoot(rc)
	case len(rc.Moved) > 0:
		n := 0
		for _, m := range rc.Moved {
			n += m.Count
		}
		return []prompt.Text{prompt.Sprintf("install what they did; %d old entries lie in another file now", n)}
	}
	if lines := agentsOfTargets(rc); len(lines) > 0 {
		return lines
	}
	if rc.From == 0 {
		return []prompt.Text{prompt.Sprintf("find nothing to install yet")}
	}
	if len(rc.Other) > 0 {
		return []prompt.Text{prompt.Sprintf("install what they did; see the fields below")}
	}
	return []prompt.Text{prompt.Sprintf("install what they did, and accept it for longer")}
}

// agentsOfRoot: they follow each new root by themselves.
func agentsOfRoot(rc diff.RoleReview) []prompt.Text {
	if rc.From == 0 {
		return []prompt.Text{prompt.Sprintf("trust this root if they are packaged with it")}
	}
	var out []prompt.Text
	for _, role := range meta.Roles() {
		gains, loses := 0, 0
		for _, k := range rc.Keys {
			if k.Role == role && k.Gains {
				gains++
			} else if k.Role == role {
				loses++
			}
		}
		switch {
		case gains > 0 && loses > 0:
			out = append(out, prompt.Sprintf("accept %s from the keys that gain it, no longer from those that lose it", role))
		case gains > 0:
			out = append(out, prompt.Sprintf("accept %s from the keys that gain it too", role))
		case loses > 0:
			out = append(out, prompt.Sprintf("no longer accept %s from the keys that lose it", role))
		}
		for _, t := range rc.Thresholds {
			if t.Role == role {
				out = append(out, prompt.Sprintf("want %d signatures of %s, not %d", t.To, role, t.From))
			}
		}
	}
	if len(out) == 0 {
		out = append(out, prompt.Sprintf("follow it by themselves, and accept the same keys"))
	}
	return out
}

// move is what agents on a channel see of a component.
type move struct{ name, channel, before, after string }

// agentsOfTargets says which channel gets which version, for all platforms at once.
func agentsOfTargets(rc diff.RoleReview) []prompt.Text {
	var order []move
	platforms := map[move][]string{}
	pinned := 0
	note := func(t diff.TargetChange, gone bool) {
		name, platform, channel, _, ok := meta.SplitPath(t.Path)
		if !ok {
			return
		}
		if channel == t.NewVersion || gone && channel == t.OldVersion {
			pinned++ // a version is a channel of its own: only who is pinned to it looks there
			return
		}
		m := move{name, channel, t.OldVersion, t.NewVersion}
		if !slices.Contains(order, m) {
			order = append(order, m)
		}
		platforms[m] = append(platforms[m], platform)
	}
	for _, t := range rc.Added {
		note(t, false)
	}
	for _, t := range rc.Changed {
		note(t, false)
	}
	for _, t := range rc.Removed {
		note(t, true)
	}
	var out []prompt.Text
	for _, m := range together(order, platforms) {
		on := prompt.Sprintf("on %s (%s)", prompt.Path(m.channel), prompt.Path(m.platforms))
		switch {
		case m.after == "" && m.before != "":
			out = append(out, prompt.Sprintf("%s: keep the %s %s that they have, and get no other", on, prompt.Path(m.name), prompt.Path(m.before)))
		case m.before == "":
			out = append(out, prompt.Sprintf("%s: install %s %s", on, prompt.Path(m.name), targetVersion(m.after)))
		default:
			out = append(out, prompt.Sprintf("%s: %s %s instead of %s", on, prompt.Path(m.name), targetVersion(m.after), targetVersion(m.before)))
		}
	}
	if len(out) == 0 && pinned > 0 {
		out = append(out, prompt.Sprintf("nothing, but for those that are pinned to a version below"))
	}
	return out
}

// group is components and channels that go the same way, each written with a plus.
type group struct {
	move
	platforms string
}

// together puts components of a channel that get the same version on one line, then
// channels that get the same components.
func together(order []move, platforms map[move][]string) []group {
	merge := func(list []group, same func(a, b group) bool, into func(a *group, b group)) []group {
		var out []group
		for _, g := range list {
			i := slices.IndexFunc(out, func(o group) bool {
				return o.before == g.before && o.after == g.after && o.platforms == g.platforms && same(o, g)
			})
			if i < 0 {
				out = append(out, g)
				continue
			}
			into(&out[i], g)
		}
		return out
	}
	var list []group
	for _, m := range order {
		list = append(list, group{m, strings.Join(platforms[m], "+")})
	}
	list = merge(list, func(a, b group) bool { return a.channel == b.channel }, func(a *group, b group) { a.name += "+" + b.name })
	return merge(list, func(a, b group) bool { return a.name == b.name }, func(a *group, b group) { a.channel += "+" + b.channel })
}

// showStays says what is as it was, and since when.
func showStays(w *prompt.Writer, rc diff.RoleReview, keys Keys) {
	if rc.Kept > 0 {
		w.Item("stays", prompt.Sprintf("%d targets as they are", rc.Kept))
	}
	label := "stays"
	for _, role := range meta.Roles() {
		var list []prompt.Text
		for _, k := range rc.Stays {
			if k.Role == role {
				list = append(list, prompt.Sprintf("%s%s", NameID(keys, k.KeyID), since(k.Since)))
			}
		}
		if len(list) > 0 && touched(rc, role) {
			w.Item(label, prompt.Sprintf("%s: %s", role, prompt.Join(list, ", ")))
			label = ""
		}
	}
	if n := untouched(rc); n > 0 {
		w.Item(label, prompt.Sprintf("%d keys of other roles, as they are", n))
	}
}

func since(version int64) prompt.Text {
	if version == 0 {
		return prompt.Text{}
	}
	return prompt.Sprintf(" (since root v%d)", version)
}

// touched: a key of the role comes or goes, or its threshold changes; in a renewal each
// key of root is worth a line.
func touched(rc diff.RoleReview, role string) bool {
	if len(rc.Keys)+len(rc.Thresholds) == 0 {
		return role == meta.RoleRoot
	}
	return slices.ContainsFunc(rc.Keys, func(k diff.KeyChange) bool { return k.Role == role }) ||
		slices.ContainsFunc(rc.Thresholds, func(t diff.ThresholdChange) bool { return t.Role == role })
}

func untouched(rc diff.RoleReview) int {
	n := 0
	for _, k := range rc.Stays {
		if !touched(rc, k.Role) {
			n++
		}
	}
	return n
}
