package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a flag and config value that takes d (24 h) and w (7 d) besides Go's
// units: "30d", "2w", "336h", "1d12h".
type Duration time.Duration

// Set implements pflag.Value.
func (d *Duration) Set(s string) error {
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// String implements pflag.Value.
func (d *Duration) String() string { return showDuration(time.Duration(*d)) }

// Type implements pflag.Value.
func (d *Duration) Type() string { return "duration" }

// ParseDuration reads a duration with d and w besides Go's units.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 14d, 2w or 336h", s)
	rest, neg := strings.CutPrefix(strings.TrimPrefix(s, "+"), "-")
	var total time.Duration
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if n <= 0 {
			if rest == "0" && total == 0 {
				return 0, nil
			}
			return 0, bad
		}
		unit := rest[n:]
		if m := strings.IndexAny(unit, ".0123456789"); m >= 0 {
			unit = unit[:m]
		}
		v, err := oneUnit(rest[:n], unit)
		if err != nil || v < 0 || total+v < total {
			return 0, bad
		}
		total += v
		rest = rest[n+len(unit):]
	}
	if s == "" || s == "+" || s == "-" {
		return 0, bad
	}
	if neg {
		return -total, nil
	}
	return total, nil
}

func oneUnit(number, unit string) (time.Duration, error) {
	days := map[string]float64{"d": 1, "w": 7}[unit]
	if days == 0 {
		return time.ParseDuration(number + unit)
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	hours := f * days * 24
	if hours > 2_000_000 {
		return 0, fmt.Errorf("too long")
	}
	return time.Duration(hours * float64(time.Hour)), nil
}

// showDuration writes whole days as days, for people.
func showDuration(d time.Duration) string {
	day := 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}
