package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
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

func (c cardFlags) read(a *app) (keyring.KeyPolicies, error) {
	if err := a.useManagementKey(c.management); err != nil {
		return keyring.KeyPolicies{}, err
	}
	roots, err := a.attestationRoots(c.attestationCA)
	if err != nil {
		return keyring.KeyPolicies{}, err
	}
	pins, err := byRole(c.pin, "--pin-policy", "never", "once", "always")
	if err != nil {
		return keyring.KeyPolicies{}, err
	}
	touches, err := byRole(c.touch, "--touch-policy", "never", "cached", "always")
	if err != nil {
		return keyring.KeyPolicies{}, err
	}
	m := keyring.KeyPolicies{AttestationRoots: roots, ByRole: map[string]keyring.KeyPolicy{}}
	for _, role := range repo.Roles() {
		m.ByRole[role] = keyring.KeyPolicy{PIN: pins[role], Touch: touches[role]}
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

func parseAlgorithm(s string) (signer.Algorithm, error) {
	if s == "" || slices.Contains(signer.Algorithms(), signer.Algorithm(s)) {
		return signer.Algorithm(s), nil
	}
	return "", usagef("--algorithm %q is none of p256, ed25519, rsa2048, rsa3072, rsa4096", s)
}
