package config

import (
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Override applies --expires role=DURATION.
func (c *Config) Override(list []string) error {
	for _, s := range list {
		role, value, ok := cutPair(s)
		if !ok {
			return misuse.Errorf("--expires %q is not role=DURATION", s)
		}
		d, err := roleDuration("--expires", role, value)
		if err != nil {
			return misuse.Of(err)
		}
		c.Expiries[role] = d
	}
	return nil
}

func cutPair(s string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(s, "=")
	return name, value, ok && name != "" && value != ""
}

// warnDefaults is how early status warns of an expiry.
func warnDefaults() map[string]time.Duration {
	day := 24 * time.Hour
	return map[string]time.Duration{meta.RoleRoot: 60 * day, meta.RoleTargets: 30 * day, meta.RoleSnapshot: 30 * day, meta.RoleTimestamp: 3 * day}
}

// Early is how long before its expiry a role is warned of.
func (c *Config) Early(role string) time.Duration {
	if d, ok := c.Warnings[role]; ok {
		return d
	}
	return warnDefaults()[role]
}
