package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// cardFlags say how --generate makes keys on YubiKeys.
type cardFlags struct {
	attestationCA string
	pin, touch    []string
	management    string
}

const managementUsage = "YubiKey: where its management key comes from (hexadecimal), if it is not stored on the card behind the PIN"

// useManagementKey takes a source for the management keys of cards.
func (a *app) useManagementKey(source string) error {
	if source == "" {
		return nil
	}
	if err := config.CheckSource(source); err != nil {
		return usage(fmt.Errorf("--management-key-source: %w", err))
	}
	a.person().Given.ManagementKey = source
	return nil
}

func (c *cardFlags) add(f *pflag.FlagSet) {
	f.StringVar(&c.attestationCA, "attestation-ca", "", "PEM certificates that an attestation may lead to besides Yubico's")
	f.StringVar(&c.management, "management-key-source", "", managementUsage)
	f.StringArrayVar(&c.pin, "pin-policy", nil, "YubiKey: when a new key wants the PIN: never, once or always (default always); ROLE=POLICY for one role")
	f.StringArrayVar(&c.touch, "touch-policy", nil, "YubiKey: when a new key wants a touch: never, cached or always (default always); ROLE=POLICY for one role")
}

// cardPolicy is what a new key on a card is made with.
type cardPolicy struct{ pin, touch string }

// cardMaking is cardFlags, read and checked.
type cardMaking struct {
	roots  []byte // PEM
	policy map[string]cardPolicy
}

func (c cardFlags) read(a *app) (cardMaking, error) {
	if err := a.useManagementKey(c.management); err != nil {
		return cardMaking{}, err
	}
	roots, err := a.attestationRoots(c.attestationCA)
	if err != nil {
		return cardMaking{}, err
	}
	pins, err := byRole(c.pin, "--pin-policy", "never", "once", "always")
	if err != nil {
		return cardMaking{}, err
	}
	touches, err := byRole(c.touch, "--touch-policy", "never", "cached", "always")
	if err != nil {
		return cardMaking{}, err
	}
	m := cardMaking{roots: roots, policy: map[string]cardPolicy{}}
	for _, role := range repo.Roles() {
		m.policy[role] = cardPolicy{pins[role], touches[role]}
	}
	return m, nil
}

// byRole reads POLICY and ROLE=POLICY; the one with a role goes before.
func byRole(list []string, flag string, known ...string) (map[string]string, error) {
	general, own := map[string]string{}, map[string]string{}
	for _, s := range list {
		role, policy, named := strings.Cut(s, "=")
		if !named {
			policy = s
		}
		if named && !repo.IsRole(role) {
			return nil, usagef("%s %q: %q is no role; roles are %s", flag, s, role, strings.Join(repo.Roles(), ", "))
		}
		if !slices.Contains(known, policy) {
			return nil, usagef("%s %q is none of %s", flag, s, strings.Join(known, ", "))
		}
		if named {
			own[role] = policy
			continue
		}
		for _, r := range repo.Roles() {
			general[r] = policy
		}
	}
	for role, policy := range own {
		general[role] = policy
	}
	return general, nil
}

// options are those of a new key for a role.
func (m cardMaking) options(role string, alg signer.Algorithm) signer.GenerateOptions {
	p := m.policy[role]
	return signer.GenerateOptions{
		Algorithm: alg, PINPolicy: p.pin, TouchPolicy: p.touch, KeyID: nameOf, AttestationRoots: m.roots,
	}
}
