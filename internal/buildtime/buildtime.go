// Package buildtime tells a clock that cannot be right: one that went back to the year 2000
// gives metadata that expired before it was made, and no clock can be right that shows a day
// before this tool was written.
package buildtime

import (
	"fmt"
	"regexp"
	"runtime/debug"
	"sync"
	"time"
)

// sourceDate is a day on which this source was already there, for builds that do not
// know their commit. It is moved on with each release; a test holds that.
const sourceDate = "2026-11-30"

// grace is how far ahead the clock of who committed or built may have been.
const grace = 24 * time.Hour

// pseudoVersion ends the version of a module that was fetched by its commit.
var pseudoVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[-.](\d{14})-[0-9a-f]{12}(\+|$)`) })

// madeAt is the newest moment that a build knows to lie behind it.
func madeAt(info *debug.BuildInfo) time.Time {
	made, err := time.Parse(time.DateOnly, sourceDate)
	if err != nil {
		panic(err)
	}
	if info == nil {
		return made
	}
	later := func(layout, value string) {
		if t, err := time.Parse(layout, value); err == nil && t.After(made) {
			made = t
		}
	}
	if m := pseudoVersion().FindStringSubmatch(info.Main.Version); m != nil {
		later("20060102150405", m[1])
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			later(time.RFC3339, s.Value)
		}
	}
	return made
}

// ClockError: this machine's clock is before the tool was made.
type ClockError struct{ now, made time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("this machine's clock says %s, and this fleet-hsm was made on %s: the clock is wrong",
		e.now.UTC().Format("2006-01-02 15:04 MST"), e.made.UTC().Format(time.DateOnly))
}

// Check refuses a clock that cannot be right. Errors: *ClockError.
func Check(now time.Time) error {
	info, _ := debug.ReadBuildInfo()
	if made := madeAt(info); now.Before(made.Add(-grace)) {
		return &ClockError{now, made}
	}
	return nil
}
