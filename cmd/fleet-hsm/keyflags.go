package main

import (
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/keyring"
)

// roleKeyFlags are --root-key URI and so on.
type roleKeyFlags map[string]*[]string

func addRoleKeyFlags(f *pflag.FlagSet, roles ...string) roleKeyFlags {
	flags := roleKeyFlags{}
	for _, role := range roles {
		flags[role] = new([]string)
		f.Var((*many)(flags[role]), role+"-key", "where a "+role+" key is (URI; may be given more than once)")
	}
	return flags
}

// use names the places that the flags name.
func (flags roleKeyFlags) use(k *keyring.Ring) error {
	for role, list := range flags {
		for _, s := range *list {
			if err := k.Add(role, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// addReviewed is the flag of commands that go on with a change which waits already.
func addReviewed(f *pflag.FlagSet, into *[]string) {
	f.Var((*many)(into), "reviewed", "SHA-256 of what is staged already, as review printed it, at least 8 digits; once for each role")
}
