package delegation

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// maxVisits is how many roles a client visits in search of a target, with targets.
const maxVisits = 32

// Change is what becomes of the roles that targets.json delegates to.
type Change struct {
	// Before and After are the published targets, nil for none, and those that will be;
	// After is nil if they stay.
	Before, After *meta.Targets
	// Threshold is that of targets in the root that will be in force.
	Threshold int
	// Staged are the roles that are signed anew, by name.
	Staged map[string]Staged
	// Published are those that clients have; nil while nothing is published.
	Published Published
}

// Staged is a role that is signed anew.
type Staged struct {
	Version int64
	Targets *meta.Targets
}

// Published is what is published of delegated roles.
type Published interface {
	// Lists reports whether the snapshot lists a role.
	Lists(name string) bool
	// VersionOf is the version that it names; 0 for none.
	VersionOf(name string) int64
	// ColdExpires is when a role expires that it lists.
	ColdExpires(name string) (time.Time, error)
	// MayName reports whether a role may hold an entry for a path, at a glance.
	MayName(name, path string) bool
	// ColdTargets are a role's entries.
	ColdTargets(name string) (*meta.Targets, error)
}

// Check refuses a change after which agents would meet one of the traps of delegated
// roles (COMPAT 6). What it does not touch is not its business. Errors:
// *RefusedError{ColdTrap}.
func Check(c Change) error {
	k, err := newCheck(c)
	if err != nil || k == nil {
		return err
	}
	for _, check := range []func() error{k.dropped, k.roles, k.visits, k.expiry, k.staged, k.hot} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

type check struct {
	Change
	was, is *meta.Delegated
}

// newCheck gives nil where no role is delegated to.
func newCheck(c Change) (*check, error) {
	k := &check{Change: c}
	if k.Before == nil {
		k.Before = meta.NewTargets()
	}
	if k.After == nil {
		k.After = k.Before
	}
	a, b := k.Before.RawDelegations(), k.After.RawDelegations()
	if a == nil && b == nil && len(c.Staged) == 0 {
		return nil, nil
	}
	var err error
	if k.is, err = k.After.Delegated(); err == nil {
		k.was, err = k.Before.Delegated()
	}
	if err != nil && bytes.Equal(a, b) && len(c.Staged) == 0 {
		return nil, nil // another tool's; the judge says what it makes of it
	}
	if err != nil {
		return nil, trap("targets.json: %v", err)
	}
	return k, nil
}

func trap(format string, args ...any) error { return meta.Refuse(meta.ColdTrap, format, args...) }

// changed lists the roles that the change adds or delegates to in another way.
func (k *check) changed() []meta.DelegatedRole {
	var out []meta.DelegatedRole
	for _, ro := range k.is.Raw.Roles {
		same := slices.ContainsFunc(k.was.Raw.Roles, func(o meta.DelegatedRole) bool { return equalJSON(o, ro) })
		if !same {
			out = append(out, ro)
		}
	}
	return out
}

func equalJSON(a, b any) bool {
	x, errx := json.Marshal(a)
	y, erry := json.Marshal(b)
	return errx == nil && erry == nil && bytes.Equal(x, y)
}

// dropped: a role that was listed once stays for ever. An agent refuses a snapshot that
// lacks one, and then stays on what it had.
func (k *check) dropped() error {
	for _, ro := range k.was.Raw.Roles {
		if !slices.ContainsFunc(k.is.Raw.Roles, func(o meta.DelegatedRole) bool { return o.Name == ro.Name }) {
			return trap("role %q would be dropped; agents that know it refuse what comes after, so it stays, if empty", ro.Name)
		}
	}
	return nil
}

var roleName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) })

// roles looks at each role that is new or changed.
func (k *check) roles() error {
	seen := map[string]bool{}
	for _, ro := range k.is.Raw.Roles {
		name := strings.ToLower(ro.Name) // as files, on some systems
		if seen[name] && len(k.changed()) > 0 {
			return trap("two roles are called %q", ro.Name)
		}
		seen[name] = true
	}
	for _, ro := range k.changed() {
		if err := k.role(ro); err != nil {
			return err
		}
	}
	return nil
}

func (k *check) role(ro meta.DelegatedRole) error {
	switch {
	case meta.IsRole(strings.ToLower(ro.Name)) || strings.EqualFold(ro.Name, "mirrors"):
		return trap("role %q has the name of a top-level role; agents refuse that", ro.Name)
	case !roleName().MatchString(ro.Name) || len(ro.Name) > meta.MaxLastElement || meta.IsNumbered(meta.FileName(ro.Name, 0)):
		return trap("role %.60q has a name that clients could not ask a server for", ro.Name)
	case len(ro.Prefixes) > 0 && len(ro.Paths) > 0:
		return trap("role %q has paths and path_hash_prefixes; most clients refuse all of targets.json then", ro.Name)
	case len(ro.Prefixes) > 0:
		return trap("role %q has path_hash_prefixes, by which go-tuf v2 finds nothing; roles by path pattern work in all clients", ro.Name)
	case len(ro.Paths) == 0:
		return trap("role %q has no path", ro.Name)
	case ro.Terminating:
		return trap("role %q ends the search for a target", ro.Name)
	}
	for _, pattern := range ro.Paths {
		if fault := meta.PatternFault(pattern); fault != "" {
			return trap("role %q: pattern %q %s", ro.Name, pattern, fault)
		}
	}
	return k.keys(ro)
}

// keys: whoever signs for a role answers for every path of its patterns that targets.json
// does not hold, so it takes as many of them as targets does.
func (k *check) keys(ro meta.DelegatedRole) error {
	cr, ok := k.is.Find(ro.Name)
	if !ok {
		return trap("role %q: threshold %d of %d keys that are listed", ro.Name, ro.Threshold, len(ro.KeyIDs))
	}
	seen := map[string]bool{}
	for _, key := range cr.Keys {
		seen[key.Fingerprint()] = true
	}
	if len(seen) != len(cr.Keys) || len(seen) < cr.Threshold {
		return trap("role %q: threshold %d of %d different keys", ro.Name, ro.Threshold, len(seen))
	}
	if need := k.Threshold; cr.Threshold < need {
		return trap("role %q has threshold %d, and targets %d", ro.Name, cr.Threshold, need)
	}
	return nil
}

// visits counts the roles that a search may lead to.
func (k *check) visits() error {
	if len(k.changed()) == 0 || len(k.is.Raw.Roles) < maxVisits {
		return nil
	}
	for _, ro := range k.changed() {
		for _, pattern := range ro.Paths {
			n := 1
			for _, other := range k.is.Raw.Roles {
				if len(other.Prefixes) > 0 || slices.ContainsFunc(other.Paths, func(o string) bool { return overlap(pattern, o) }) {
					n++
				}
			}
			if n > maxVisits {
				return trap("%d roles lie on the way to %q; clients visit %d", n, pattern, maxVisits)
			}
		}
	}
	return nil
}

// expiry: an agent that has stored a role finds no target at all once it is expired. What
// was so before is not made worse.
func (k *check) expiry() error {
	for _, cr := range k.is.Roles {
		now, was, err := k.expiries(cr.Name)
		if err != nil {
			return err
		}
		if now.IsZero() || !now.Before(k.After.Expires()) {
			continue
		}
		if _, staged := k.Staged[cr.Name]; !staged && was.Before(k.Before.Expires()) {
			continue
		}
		return trap("role %q would expire %s, before targets (%s); agents that have stored it then find nothing",
			cr.Name, now.UTC().Format("2006-01-02"), k.After.Expires().UTC().Format("2006-01-02"))
	}
	return nil
}

// expiries gives the expiry of a cold role after the change, and the published one.
func (k *check) expiries(name string) (now, was time.Time, err error) {
	if k.Published != nil && k.Published.Lists(name) {
		if was, err = k.Published.ColdExpires(name); err != nil {
			return now, was, err
		}
	}
	if s, ok := k.Staged[name]; ok {
		return s.Targets.Expires(), was, nil
	}
	return was, was, nil
}

// overlap reports whether a path may match both patterns. It takes whatever it does not
// understand for yes.
func overlap(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !strings.ContainsAny(x[i]+y[i], meta.PatternSigns) && x[i] != y[i] {
			return false
		}
		plain, pattern := x[i], y[i]
		if strings.ContainsAny(plain, meta.PatternSigns) {
			plain, pattern = pattern, plain
		}
		if ok, err := path.Match(pattern, plain); err == nil && !ok && !strings.ContainsAny(plain, meta.PatternSigns) {
			return false
		}
	}
	return true
}
