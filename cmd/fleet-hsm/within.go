package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// within is --fail-within: a time for all roles, and others for some of them, since root
// lasts for years and a timestamp for days.
type within struct {
	given   bool
	general time.Duration
	all     bool // general was given
	roles   map[string]time.Duration
}

// Set reads DURATION and ROLE=DURATION, several of them behind commas.
func (w *within) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		role, text, named := strings.Cut(part, "=")
		if !named {
			role, text = "", part
		}
		if named && !meta.IsRole(role) {
			return unknownRole(role)
		}
		d, err := config.ParseDuration(text)
		if err != nil {
			return err
		}
		if d < 0 {
			return fmt.Errorf("%q %w", text, errNegative)
		}
		if w.roles == nil {
			w.roles = map[string]time.Duration{}
		}
		if named {
			w.roles[role] = d
		} else {
			w.general, w.all = d, true
		}
		w.given = true
	}
	return nil
}

// String is empty: there is no default.
func (w *within) String() string { return "" }

// Type is how help calls the value.
func (w *within) Type() string { return "[role=]duration" }

// of is the time of a role; false: nothing was asked about it. A cold role goes with
// targets.
func (w *within) of(role string) (time.Duration, bool) {
	if !meta.IsRole(role) {
		role = meta.RoleTargets
	}
	if d, ok := w.roles[role]; ok {
		return d, true
	}
	return w.general, w.all
}
