package repo

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

// maxColdVisits is how many roles a client visits in search of a target, with targets.
const maxColdVisits = 32

// checkCold refuses a change after which agents would meet one of the traps of delegated
// roles (COMPAT 6). Every change that is staged, signed or asked for passes it; what it
// does not touch is not its business. Errors: *RefusedError{ColdTrap}.
func checkCold(p *Published, c *Change) error {
	k, err := newColdCheck(p, c)
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

type coldCheck struct {
	p             *Published
	c             *Change
	before, after *meta.Targets
	was, is       *meta.Delegated
}

// newColdCheck gives nil where no role is delegated to.
func newColdCheck(p *Published, c *Change) (*coldCheck, error) {
	k := &coldCheck{p: p, c: c, before: meta.NewTargets(), after: c.targets}
	if p != nil && p.Targets != nil {
		k.before = p.Targets
	}
	if k.after == nil {
		k.after = k.before
	}
	a, b := k.before.RawDelegations(), k.after.RawDelegations()
	if a == nil && b == nil && len(c.cold) == 0 {
		return nil, nil
	}
	var err error
	if k.is, err = k.after.Delegated(); err == nil {
		k.was, err = k.before.Delegated()
	}
	if err != nil && bytes.Equal(a, b) && len(c.cold) == 0 {
		return nil, nil // another tool's; the judge says what it makes of it
	}
	if err != nil {
		return nil, trap("targets.json: %v", err)
	}
	return k, nil
}

func trap(format string, args ...any) error { return meta.Refuse(meta.ColdTrap, format, args...) }

// changed lists the roles that the change adds or delegates to in another way.
func (k *coldCheck) changed() []meta.DelegatedRole {
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
func (k *coldCheck) dropped() error {
	for _, ro := range k.was.Raw.Roles {
		if !slices.ContainsFunc(k.is.Raw.Roles, func(o meta.DelegatedRole) bool { return o.Name == ro.Name }) {
			return trap("role %q would be dropped; agents that know it refuse what comes after, so it stays, if empty", ro.Name)
		}
	}
	return nil
}

var coldName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) })

// roles looks at each role that is new or changed.
func (k *coldCheck) roles() error {
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

func (k *coldCheck) role(ro meta.DelegatedRole) error {
	switch {
	case meta.IsRole(strings.ToLower(ro.Name)) || strings.EqualFold(ro.Name, "mirrors"):
		return trap("role %q has the name of a top-level role; agents refuse that", ro.Name)
	case !coldName().MatchString(ro.Name) || len(ro.Name) > meta.MaxLastElement || numberedFile().MatchString(ro.Name+".json"):
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
func (k *coldCheck) keys(ro meta.DelegatedRole) error {
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
	if need := k.c.root.Threshold(meta.RoleTargets); cr.Threshold < need {
		return trap("role %q has threshold %d, and targets %d", ro.Name, cr.Threshold, need)
	}
	return nil
}

// visits counts the roles that a search may lead to.
func (k *coldCheck) visits() error {
	if len(k.changed()) == 0 || len(k.is.Raw.Roles) < maxColdVisits {
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
			if n > maxColdVisits {
				return trap("%d roles lie on the way to %q; clients visit %d", n, pattern, maxColdVisits)
			}
		}
	}
	return nil
}

// expiry: an agent that has stored a role finds no target at all once it is expired. What
// was so before is not made worse.
func (k *coldCheck) expiry() error {
	for _, cr := range k.is.Roles {
		now, was, err := k.expiries(cr.Name)
		if err != nil {
			return err
		}
		if now.IsZero() || !now.Before(k.after.Expires()) {
			continue
		}
		if _, staged := k.c.cold[cr.Name]; !staged && was.Before(k.before.Expires()) {
			continue
		}
		return trap("role %q would expire %s, before targets (%s); agents that have stored it then find nothing",
			cr.Name, now.UTC().Format("2006-01-02"), k.after.Expires().UTC().Format("2006-01-02"))
	}
	return nil
}

// expiries gives the expiry of a cold role after the change, and the published one.
func (k *coldCheck) expiries(name string) (now, was time.Time, err error) {
	if k.p != nil && k.p.cold[name] != nil {
		if was, err = k.p.coldExpires(name); err != nil {
			return now, was, err
		}
	}
	if s := k.c.cold[name]; s != nil {
		return s.targets.Expires(), was, nil
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
