package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Retention is how many versions of each component and platform stay in targets.json:
// what archive and prune take where no flag says another number, and what warnings name.
type Retention struct {
	Keep int `yaml:"keep"`
}

func (c *Config) checkRetention() error {
	if c.Retention != nil && c.Retention.Keep < 1 {
		return errors.New("retention: keep: is not a number of versions, such as 10")
	}
	for _, p := range c.Pinned {
		if p == "" || strings.TrimSpace(p) != p || strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") {
			return fmt.Errorf("pinned: %q is no version, such as 1.2.3, or orbit/1.2.3 for one component", p)
		}
	}
	return nil
}

// Keeps gives what stays in targets.json; keep is a flag's number, 0 for none, and fallback
// is taken if the configuration says nothing either.
func (c *Config) Keeps(keep, fallback int) meta.Retention {
	if keep == 0 && c.Retention != nil {
		keep = c.Retention.Keep
	}
	if keep == 0 {
		keep = fallback
	}
	return meta.Retention{Keep: keep, Pinned: c.Pinned}
}
