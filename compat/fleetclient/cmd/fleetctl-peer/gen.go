package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/peer"
)

func runGenerate(c *command, args []string) error {
	spec := peer.Spec{Roles: map[string]peer.RoleSpec{}}
	perRole := func(name, help string, set func(*peer.RoleSpec, string) error) {
		c.flags.Func(name, help, func(v string) error { return eachRole(spec.Roles, v, set) })
	}
	perRole("roles", "keys per role, root=3,...", func(r *peer.RoleSpec, v string) (err error) {
		r.Keys, err = strconv.Atoi(v)
		return err
	})
	perRole("threshold", "threshold per role, root=2,...", func(r *peer.RoleSpec, v string) (err error) {
		r.Threshold, err = strconv.Atoi(v)
		return err
	})
	perRole("versions", "metadata version per role, targets=90,...", func(r *peer.RoleSpec, v string) (err error) {
		r.Version, err = strconv.ParseInt(v, 10, 64)
		return err
	})
	perRole("algorithm", "key algorithm per role, root=p256,...", func(r *peer.RoleSpec, v string) error {
		r.Algorithm = v
		return nil
	})
	perRole("expired", "roles that are expired, targets,...", func(r *peer.RoleSpec, _ string) error {
		r.Expired = true
		return nil
	})
	rootVersion := c.flags.Int64("root-version", 1, "how many root versions to write")
	c.flags.BoolVar(&spec.ExpiredFirstRoot, "expired-old-root", false, "let 1.root.json be expired")
	c.flags.IntVar(&spec.Targets, "targets", 0, "how many targets to publish")
	c.flags.IntVar(&spec.ScryptN, "kdf", 0, "scrypt N of the key files")
	c.flags.BoolVar(&spec.Consistent, "consistent-snapshot", false, "consistent snapshots")
	c.flags.Func("tz-offset", "zone of the expiries, -03:30", func(v string) (err error) {
		spec.Location, err = zone(v)
		return err
	})
	if _, err := c.arguments(args, 0); err != nil {
		return err
	}
	root := spec.Roles["root"]
	root.Version = *rootVersion
	spec.Roles["root"] = root
	return peer.Generate(c.path, spec)
}

// eachRole reads "root=3,targets=1"; a role without "=" gets an empty value.
func eachRole(roles map[string]peer.RoleSpec, text string, set func(*peer.RoleSpec, string) error) error {
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		if !slices.Contains(forge.RoleNames(), name) {
			return fmt.Errorf("unknown role %q", name)
		}
		role := roles[name]
		if err := set(&role, value); err != nil {
			return err
		}
		roles[name] = role
	}
	return nil
}

func zone(text string) (*time.Location, error) {
	at, err := time.Parse("-07:00", text)
	if err != nil {
		return nil, err
	}
	_, offset := at.Zone()
	return time.FixedZone("", offset), nil
}

func runForge(c *command, args []string) error {
	list := c.flags.Bool("list", false, "list the cases")
	if err := c.flags.Parse(args); err != nil {
		return err
	}
	if *list {
		return listCases(c)
	}
	if c.flags.NArg() != 2 {
		return fmt.Errorf("forge takes a case and a folder, or --list")
	}
	for _, one := range forge.Cases() {
		if one.Name == c.flags.Arg(0) {
			return one.Make(c.flags.Arg(1))
		}
	}
	return fmt.Errorf("unknown case %q", c.flags.Arg(0))
}

func listCases(c *command) error {
	encoder := json.NewEncoder(c.out)
	for _, one := range forge.Cases() {
		line := map[string]any{"name": one.Name, "rotated": one.Rotated(), "v05": one.V05, "v07": one.V07, "v2": one.V2}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
