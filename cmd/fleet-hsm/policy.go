package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// policy is what the owner of this machine is ready to sign, by role, whatever the
// machine that staged the change says:
//
//	policy:
//	  root: {min-threshold: 2, max-expiry: 400d, keys: attested, minimum-firmware: 5.7}
//	  targets: {max-expiry: 400d, keys: on-token, names: ["orbit/**", "desktop/*/stable/*"]}
//
// min-threshold and keys bind what a new root may say of the role; max-expiry (root,
// targets) how long what is signed may be valid; names (targets) which target paths
// may come, change or go: "*" stands for anything but a slash, "/**" at the end for
// everything below. keys: attested takes keys with a certificate of their device's
// maker only; on-token takes also those that this configuration places on a token.
type policy map[string]rolePolicy

type rolePolicy struct {
	threshold int
	expiry    time.Duration
	keys      string
	firmware  string // "" or two or three numbers
	names     []string
	lines     map[string]int // of each field
}

// policyError says which line of the configuration forbids what. Exit 1.
type policyError struct {
	file, role, field string
	line              int
	text              string
}

func (e *policyError) Error() string {
	return fmt.Sprintf("not signed: %s; %q, line %d, forbids it (policy: %s: %s)", e.text, e.file, e.line, e.role, e.field)
}

// Is makes errors.Is(err, repo.ErrRefused) hold.
func (e *policyError) Is(target error) bool { return target == repo.ErrRefused }

// UnmarshalYAML keeps the lines of the fields, and is as strict as the rest.
func (p *policy) UnmarshalYAML(n *yaml.Node) error {
	*p = policy{}
	return eachField(n, func(name, value *yaml.Node) error {
		if !repo.IsRole(name.Value) {
			return fmt.Errorf("line %d: policy: %q is no role; roles are %s", name.Line, name.Value, strings.Join(repo.Roles(), ", "))
		}
		rp := rolePolicy{lines: map[string]int{}}
		err := eachField(value, func(field, v *yaml.Node) error {
			rp.lines[field.Value] = field.Line
			if err := rp.set(name.Value, field.Value, v); err != nil {
				return fmt.Errorf("line %d: policy: %s: %s: %w", field.Line, name.Value, field.Value, err)
			}
			return nil
		})
		(*p)[name.Value] = rp
		return err
	})
}

// eachField walks a mapping; a field that stands twice is an error.
func eachField(n *yaml.Node, f func(name, value *yaml.Node) error) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: policy: not a list of names and values", n.Line)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if seen[name.Value] {
			return fmt.Errorf("line %d: policy: %q stands twice", name.Line, name.Value)
		}
		seen[name.Value] = true
		if err := f(name, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (rp *rolePolicy) set(role, field string, v *yaml.Node) error {
	signed := role == repo.RoleRoot || role == repo.RoleTargets
	switch field {
	case "min-threshold":
		n, err := strconv.Atoi(v.Value)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of keys", v.Value)
		}
		rp.threshold = n
	case "max-expiry":
		if !signed {
			return fmt.Errorf("%s is signed by commit and timestamp, which set its expiry themselves (expires:)", role)
		}
		d, err := parseDuration(v.Value)
		if err == nil && d <= 0 {
			err = fmt.Errorf("%q is not a time to come", v.Value)
		}
		rp.expiry = d
		return err
	case "keys":
		if v.Value != "attested" && v.Value != "on-token" {
			return fmt.Errorf("%q is neither attested nor on-token", v.Value)
		}
		rp.keys = v.Value
	case "minimum-firmware":
		if _, ok := parseFirmware(v.Value); !ok {
			return fmt.Errorf("%q is not like 5.7 or 5.7.1", v.Value)
		}
		rp.firmware = v.Value
	case "names":
		if role != repo.RoleTargets {
			return fmt.Errorf("only targets has names")
		}
		return rp.setNames(v)
	default:
		return fmt.Errorf("unknown field; known are min-threshold, max-expiry, keys, minimum-firmware, names")
	}
	return nil
}

func (rp *rolePolicy) setNames(v *yaml.Node) error {
	if err := v.Decode(&rp.names); err != nil || len(rp.names) == 0 {
		return fmt.Errorf("not a list of patterns")
	}
	for _, s := range rp.names {
		if _, err := path.Match(strings.TrimSuffix(s, "/**"), ""); err != nil {
			return fmt.Errorf("pattern %q: %w", s, err)
		}
	}
	return nil
}

// allows reports whether a target path may be touched.
func (rp rolePolicy) allows(target string) bool {
	return slices.ContainsFunc(rp.names, func(pattern string) bool {
		head, below := strings.CutSuffix(pattern, "/**")
		subject := target
		if below {
			parts := strings.Split(target, "/")
			n := strings.Count(head, "/") + 1
			if len(parts) <= n {
				return false
			}
			subject = strings.Join(parts[:n], "/")
		}
		ok, err := path.Match(head, subject)
		return err == nil && ok
	})
}

// checkPolicy refuses to sign what the owner of this machine has ruled out, before
// any key is used. roles are those that are to be signed; hints may bring
// attestations with them.
func (a *app) checkPolicy(c *repo.Change, card repo.Card, roles []string, hints map[tuf.KeyID]ceremony.Hint) error {
	cfg, err := a.config()
	if err != nil || len(cfg.Policy) == 0 {
		return err
	}
	check := policyCheck{a: a, cfg: cfg, c: c, hints: hints}
	for _, rc := range card.Roles {
		if !slices.Contains(roles, rc.Role) {
			continue
		}
		if err := check.expiry(rc); err != nil {
			return err
		}
		if rc.Role == repo.RoleRoot {
			err = check.root(rc)
		} else {
			err = check.targets(rc)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type policyCheck struct {
	a     *app
	cfg   *config
	c     *repo.Change
	hints map[tuf.KeyID]ceremony.Hint
}

func (pc policyCheck) forbid(role, field, format string, args ...any) error {
	return &policyError{file: pc.cfg.file, role: role, field: field, line: pc.cfg.Policy[role].lines[field], text: fmt.Sprintf(format, args...)}
}

func (pc policyCheck) expiry(rc repo.RoleCard) error {
	rp := pc.cfg.Policy[rc.Role]
	if rp.expiry > 0 && time.Until(rc.Expires) > rp.expiry {
		return pc.forbid(rc.Role, "max-expiry", "%s v%d would be valid for %s", rc.Role, rc.To, daysUntil(rc.Expires))
	}
	return nil
}

func (pc policyCheck) root(rc repo.RoleCard) error {
	for _, role := range repo.Roles() {
		rp := pc.cfg.Policy[role]
		if n := pc.c.Root().Threshold(role); n < rp.threshold {
			return pc.forbid(role, "min-threshold", "%s would have threshold %d", role, n)
		}
		if rp.keys == "" && rp.firmware == "" {
			continue
		}
		for _, k := range pc.c.Root().Keys(role) {
			gains := slices.ContainsFunc(rc.Keys, func(ch repo.KeyChange) bool { return ch.Gains && ch.Role == role && ch.KeyID == k.ID })
			// A key object that was replaced under its old ID is as good as new.
			if !gains && len(rc.Other) == 0 {
				continue
			}
			if rp.keys != "" && !pc.proved(k, rp.keys) {
				return pc.forbid(role, "keys", "key %s of %s is not %s", k.ShortID(), role, rp.keys)
			}
			if err := pc.firmware(role, k, rp.firmware); err != nil {
				return err
			}
		}
	}
	return nil
}

func (pc policyCheck) proved(k repo.Key, how string) bool {
	if u, ok := pc.cfg.places[k.ID]; ok && how == "on-token" && (u.Scheme == "piv" || u.Scheme == "pkcs11") {
		return true
	}
	_, ok := pc.attestation(k)
	return ok
}

// attestation gives what a certificate of the device's maker says of a key.
func (pc policyCheck) attestation(k repo.Key) (signer.Attestation, bool) {
	att, ok := pc.a.keys.backends["piv"].(signer.Attester)
	roots, err := pc.a.attestationRoots("")
	if !ok || err != nil {
		return signer.Attestation{}, false
	}
	return pc.a.attestationOf(att, roots, k, pc.hints[k.ID].Attestation)
}

// firmware forbids a key that was not attested by the firmware that is wanted, or a later
// one.
func (pc policyCheck) firmware(role string, k repo.Key, least string) error {
	if least == "" {
		return nil
	}
	proof, ok := pc.attestation(k)
	have, told := parseFirmware(proof.Firmware)
	want, _ := parseFirmware(least)
	switch {
	case !ok || !told:
		return pc.forbid(role, "minimum-firmware", "no attestation says which firmware made key %s of %s", k.ShortID(), role)
	case slices.Compare(have[:], want[:]) < 0:
		return pc.forbid(role, "minimum-firmware", "key %s of %s was made by firmware %s", k.ShortID(), role, proof.Firmware)
	}
	return nil
}

// parseFirmware reads two or three numbers.
func parseFirmware(s string) (v [3]int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

func (pc policyCheck) targets(rc repo.RoleCard) error {
	rp := pc.cfg.Policy[repo.RoleTargets]
	if len(rp.names) == 0 {
		return nil
	}
	for _, t := range slices.Concat(rc.Added, rc.Changed, rc.Removed) {
		if !rp.allows(t.Path) {
			return pc.forbid(repo.RoleTargets, "names", "target %s is none of the names", prompt.Path(t.Path))
		}
	}
	// What has no name, a delegation for example, could let others touch any name.
	if len(rc.Other) > 0 {
		return pc.forbid(repo.RoleTargets, "names", "it changes more than targets: %s", prompt.Quote(rc.Other[0]))
	}
	return nil
}
