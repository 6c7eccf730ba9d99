package workflow

import (
	"fmt"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// PolicyError says which line of the configuration forbids what. Exit 1.
type PolicyError struct {
	file, role, field string
	line              int
	text              string
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("not signed: %s; %q, line %d, forbids it (policy: %s: %s)", e.text, e.file, e.line, e.role, e.field)
}

// Is makes errors.Is(err, repo.ErrRefused) hold.
func (e *PolicyError) Is(target error) bool { return target == meta.ErrRefused }

// checkPolicy refuses to sign what the owner of this machine has ruled out, before
// any key is used. roles are those that are to be signed; hints may bring
// attestations with them.
func (w *Session) checkPolicy(c *repo.Change, review diff.Review, roles []string, hints map[tuf.KeyID]keyring.Hint) error {
	cfg := w.Config
	if len(cfg.Policy) == 0 {
		return nil
	}
	check := policyCheck{w: w, cfg: cfg, c: c, hints: hints}
	for _, rc := range review.Roles {
		if !slices.Contains(roles, rc.Role) {
			continue
		}
		err := check.expiry(rc)
		if err != nil {
			return err
		}
		if rc.Role == meta.RoleRoot {
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
	w     *Session
	cfg   *config.Config
	c     *repo.Change
	hints map[tuf.KeyID]keyring.Hint
}

func (pc policyCheck) forbid(role, field, format string, args ...any) error {
	return &PolicyError{file: pc.cfg.File, role: role, field: field, line: pc.cfg.Policy[role].Lines[field], text: fmt.Sprintf(format, args...)}
}

func (pc policyCheck) expiry(rc diff.RoleReview) error {
	// A cold role holds what targets held, and is under its policy.
	role := rc.Role
	if !meta.IsRole(role) {
		role = meta.RoleTargets
	}
	rp := pc.cfg.Policy[role]
	if rp.MaxExpiry > 0 && time.Until(rc.Expires) > rp.MaxExpiry {
		return pc.forbid(role, "max-expiry", "%s v%d would be valid for %s", rc.Role, rc.To, config.DaysUntil(rc.Expires))
	}
	return nil
}

func (pc policyCheck) root(rc diff.RoleReview) error {
	for _, role := range meta.Roles() {
		rp := pc.cfg.Policy[role]
		if n := pc.c.Root().Threshold(role); n < rp.Threshold {
			return pc.forbid(role, "min-threshold", "%s would have threshold %d", role, n)
		}
		if rp.Keys == "" && rp.Firmware == "" {
			continue
		}
		for _, k := range pc.c.Root().Keys(role) {
			gains := slices.ContainsFunc(rc.Keys, func(ch diff.KeyChange) bool { return ch.Gains && ch.Role == role && ch.KeyID == k.ID })
			// A key object that was replaced under its old ID is as good as new.
			if !gains && len(rc.Other) == 0 {
				continue
			}
			if rp.Keys != "" && !pc.proved(k, rp.Keys) {
				return pc.forbid(role, "keys", "key %s of %s is not %s", k.ShortID(), role, rp.Keys)
			}
			if err := pc.firmware(role, k, rp.Firmware); err != nil {
				return err
			}
		}
	}
	return nil
}

func (pc policyCheck) proved(k meta.Key, how string) bool {
	if u, ok := pc.cfg.Locations[k.ID]; ok && how == "on-token" && u.OnToken() {
		return true
	}
	_, ok := pc.attestation(k)
	return ok
}

// attestation gives what a certificate of the device's maker says of a key.
func (pc policyCheck) attestation(k meta.Key) (signer.Attestation, bool) {
	return pc.w.Keys.Proved(k, pc.hints[k.ID].Attestation)
}

// firmware forbids a key that was not attested by the firmware that is wanted, or a later
// one.
func (pc policyCheck) firmware(role string, k meta.Key, least string) error {
	if least == "" {
		return nil
	}
	proof, ok := pc.attestation(k)
	have, told := config.ParseFirmware(proof.Firmware)
	want, _ := config.ParseFirmware(least)
	switch {
	case !ok || !told:
		return pc.forbid(role, "minimum-firmware", "no attestation says which firmware made key %s of %s", k.ShortID(), role)
	case slices.Compare(have[:], want[:]) < 0:
		return pc.forbid(role, "minimum-firmware", "key %s of %s was made by firmware %s", k.ShortID(), role, proof.Firmware)
	}
	return nil
}

func (pc policyCheck) targets(rc diff.RoleReview) error {
	rp := pc.cfg.Policy[meta.RoleTargets]
	if len(rp.Names) == 0 {
		return nil
	}
	for _, t := range slices.Concat(rc.Added, rc.Changed, rc.Removed) {
		if !rp.Allows(t.Path) {
			return pc.forbid(meta.RoleTargets, "names", "target %s is none of the names", pc.w.opts.Talk.Path(t.Path))
		}
	}
	// What has no name, a delegation for example, could let others touch any name.
	if len(rc.Other) > 0 {
		return pc.forbid(meta.RoleTargets, "names", "it changes more than targets: %s", pc.w.opts.Talk.Quote(rc.Other[0]))
	}
	return nil
}
