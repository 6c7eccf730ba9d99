package installer

import (
	"os"
	"strconv"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
)

// BuildTime is the time that packages bear: SOURCE_DATE_EPOCH, or now.
func BuildTime(now time.Time) (time.Time, error) {
	s, ok := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok || s == "" {
		return now.UTC().Truncate(time.Second), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<32-1 {
		return time.Time{}, misuse.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds since 1970", s)
	}
	return time.Unix(n, 0).UTC(), nil
}
