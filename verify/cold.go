package verify

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// checkCold looks for what agents stumble over in roles that targets delegates to. Agents
// fetch such a role when they look for a target that targets.json does not hold, keep it,
// and fetch it again at every poll. roles begins with targets.
func (w *walk) checkCold(roles []*document, delegated map[string]*delegatedRole) {
	top := roles[0]
	w.checkVisits(top, delegated)
	holder := map[string]*document{}
	for name := range top.targets.Targets {
		holder[name] = top
	}
	for _, d := range roles[1:] {
		if !d.expires.IsZero() && d.expires.Before(top.expires) {
			w.warnf(CodeColdExpiry, d.role, d.file, "it expires %s, before targets (%s): agents that have stored it then find nothing at all",
				d.expires.UTC().Format(time.RFC3339), top.expires.UTC().Format(time.RFC3339))
		}
		for _, name := range slices.Sorted(maps.Keys(d.targets.Targets)) {
			if other := holder[name]; other != nil {
				w.warnf(CodeTargetTwice, d.role, d.file, "target %q stands in %q too", name, other.file)
			}
			holder[name] = d
			w.checkColdEntry(d, delegated[d.role], name)
		}
	}
}

func (w *walk) checkColdEntry(d *document, r *delegatedRole, name string) {
	parts := strings.Split(name, "/")
	f := d.targets.Targets[name]
	if f == nil || len(parts) < 4 {
		return
	}
	var custom struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(f.Custom, &custom) == nil && custom.Version != "" && parts[len(parts)-2] != custom.Version {
		w.warnf(CodeColdChannel, d.role, d.file, "target %q is a channel: agents that follow it fetch this role at every poll", name)
	}
	matches := func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	}
	if len(r.PathHashPrefixes) == 0 && !slices.ContainsFunc(r.Paths, matches) {
		w.warnf(CodeDelegation, d.role, d.file, "no client looks for target %q here: none of the role's patterns matches it", name)
	}
}

// checkVisits counts the roles on the way to a target: those whose patterns may match one
// path, and the most that one hash leads to.
func (w *walk) checkVisits(top *document, delegated map[string]*delegatedRole) {
	if len(delegated) < maxDelegated {
		return
	}
	var patterns, prefixes []string
	for _, r := range delegated {
		patterns, prefixes = append(patterns, r.Paths...), append(prefixes, r.PathHashPrefixes...)
	}
	most := func(list []string, of func(*delegatedRole) []string, meet func(a, b string) bool) int {
		high := 0
		for _, a := range list {
			n := 0
			for _, r := range delegated {
				if slices.ContainsFunc(of(r), func(b string) bool { return meet(a, b) }) {
					n++
				}
			}
			high = max(high, n)
		}
		return high
	}
	n := 1 + most(patterns, func(r *delegatedRole) []string { return r.Paths }, mayMeet) +
		most(prefixes, func(r *delegatedRole) []string { return r.PathHashPrefixes }, func(a, b string) bool {
			return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
		})
	if n > maxDelegated {
		w.errorf(CodeDelegationLimit, top.role, top.file, "%d roles lie on the way to a target; clients visit %d", n, maxDelegated)
	}
}

// mayMeet reports whether one path may match two patterns; a star ends at a slash.
func mayMeet(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		wildX, wildY := strings.ContainsAny(x[i], `*?[\`), strings.ContainsAny(y[i], `*?[\`)
		ok := true
		switch {
		case !wildX && !wildY:
			ok = x[i] == y[i]
		case wildX && !wildY:
			ok, _ = path.Match(x[i], y[i])
		case !wildX && wildY:
			ok, _ = path.Match(y[i], x[i])
		}
		if !ok {
			return false
		}
	}
	return true
}
