package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// makeFlags say how new keys are made.
type makeFlags struct {
	// generate is "" for no, "true" for yes, or what the new keys are to be called.
	generate      string
	imported      bool
	algorithm     string
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

func (c *makeFlags) add(f *pflag.FlagSet, algorithm string) {
	f.StringVar(&c.generate, "generate", "", "make the token keys that are named if they are absent; --generate=NAME[,NAME] calls them so, in their order")
	f.Lookup("generate").NoOptDefVal = "true"
	f.BoolVar(&c.imported, "allow-imported", false, "accept a root key that was imported into its token or can be taken out of it")
	f.StringVar(&c.algorithm, "algorithm", "", algorithm)
	f.StringVar(&c.attestationCA, "attestation-ca", "", "PEM certificates that an attestation may lead to besides Yubico's")
	f.StringVar(&c.management, "management-key-source", "", managementUsage)
	f.Var((*many)(&c.pin), "pin-policy", "YubiKey: when a new key wants the PIN: never, once or always (default always); ROLE=POLICY for one role")
	f.Var((*many)(&c.touch), "touch-policy", "YubiKey: when a new key wants a touch: never, cached or always (default always); ROLE=POLICY for one role")
}

// made says whether keys are to be made that are absent, and what they are to be called.
func (c makeFlags) made() (bool, []string, error) {
	if made, err := strconv.ParseBool(cmp.Or(c.generate, "false")); err == nil {
		return made, nil, nil
	}
	names := strings.Split(c.generate, ",")
	for i, name := range names {
		if err := keyring.CheckName(name); err != nil {
			return false, nil, fmt.Errorf("--generate=%s: %w", c.generate, err)
		}
		if slices.Contains(names[:i], name) {
			return false, nil, usagef("--generate=%s: the name %q stands twice; each key has its own", c.generate, name)
		}
	}
	return true, names, nil
}

func (c makeFlags) read(a *app) (keyring.MakeOptions, error) {
	alg, err := parseAlgorithm(c.algorithm)
	if err != nil {
		return keyring.MakeOptions{}, err
	}
	policies, err := c.policies(a)
	if err != nil {
		return keyring.MakeOptions{}, err
	}
	made, names, err := c.made()
	return keyring.MakeOptions{Generate: made, Names: names, Algorithm: alg, AllowImported: c.imported, Policies: policies}, err
}

// policies are those of new keys on cards.
func (c makeFlags) policies(a *app) (keyring.KeyPolicies, error) {
	if err := a.useManagementKey(c.management); err != nil {
		return keyring.KeyPolicies{}, err
	}
	keys, err := a.keychain()
	if err != nil {
		return keyring.KeyPolicies{}, err
	}
	roots, err := keys.AttestationRoots(c.attestationCA)
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
	for _, role := range meta.Roles() {
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
		if named && !meta.IsRole(role) {
			return nil, usage(fmt.Errorf("%s %q: %w", flag, s, unknownRole(role)))
		}
		if !slices.Contains(known, policy) {
			return nil, usage(noneOf(flag, s, policy, known))
		}
		if named {
			own[role] = policy
			continue
		}
		for _, r := range meta.Roles() {
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
	return "", usage(noneOf("--algorithm", s, s, []string{"p256", "ed25519", "rsa2048", "rsa3072", "rsa4096"}))
}
