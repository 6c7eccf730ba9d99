package config

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Policy is what the owner of this machine is ready to sign, by role, whatever the
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
type Policy map[string]RolePolicy

// RolePolicy is the policy for one role.
type RolePolicy struct {
	Threshold int
	MaxExpiry time.Duration
	Keys      string
	Firmware  string // "" or two or three numbers
	Names     []string
	Lines     map[string]int // of each field
}

// UnmarshalYAML keeps the lines of the fields, and is as strict as the rest.
func (p *Policy) UnmarshalYAML(n *yaml.Node) error {
	*p = Policy{}
	return eachField(n, func(name, value *yaml.Node) error {
		if !meta.IsRole(name.Value) {
			return fmt.Errorf("line %d: policy: %q is not a role; roles are %s", name.Line, name.Value, strings.Join(meta.Roles(), ", "))
		}
		rp := RolePolicy{Lines: map[string]int{}}
		err := eachField(value, func(field, v *yaml.Node) error {
			rp.Lines[field.Value] = field.Line
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

func (rp *RolePolicy) set(role, field string, v *yaml.Node) error {
	signed := role == meta.RoleRoot || role == meta.RoleTargets
	switch field {
	case "min-threshold":
		n, err := strconv.Atoi(v.Value)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number of keys", v.Value)
		}
		rp.Threshold = n
	case "max-expiry":
		if !signed {
			return fmt.Errorf("%s is signed by commit and timestamp, which set its expiry themselves (expires:)", role)
		}
		d, err := ParseDuration(v.Value)
		if err == nil && d <= 0 {
			err = fmt.Errorf("%q is not a time to come", v.Value)
		}
		rp.MaxExpiry = d
		return err
	case "keys":
		if v.Value != "attested" && v.Value != "on-token" {
			return fmt.Errorf("%q is neither attested nor on-token", v.Value)
		}
		rp.Keys = v.Value
	case "minimum-firmware":
		if _, ok := ParseFirmware(v.Value); !ok {
			return fmt.Errorf("%q is not like 5.7 or 5.7.1", v.Value)
		}
		rp.Firmware = v.Value
	case "names":
		if role != meta.RoleTargets {
			return fmt.Errorf("only targets has names")
		}
		return rp.setNames(v)
	default:
		return fmt.Errorf("unknown field; known are min-threshold, max-expiry, keys, minimum-firmware, names")
	}
	return nil
}

func (rp *RolePolicy) setNames(v *yaml.Node) error {
	if err := v.Decode(&rp.Names); err != nil || len(rp.Names) == 0 {
		return fmt.Errorf("not a list of patterns")
	}
	for _, s := range rp.Names {
		if _, err := path.Match(strings.TrimSuffix(s, "/**"), ""); err != nil {
			return fmt.Errorf("pattern %q: %w", s, err)
		}
	}
	return nil
}

// Allows reports whether a target path may be touched.
func (rp RolePolicy) Allows(target string) bool {
	return slices.ContainsFunc(rp.Names, func(pattern string) bool {
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

// ParseFirmware reads two or three numbers.
func ParseFirmware(s string) (v [3]int, ok bool) {
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
