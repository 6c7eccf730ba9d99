package main

import (
	"fmt"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// A clock that went back to the year 2000 gives metadata that expired before it was
// made. No clock can be right that shows a day before this tool was written.

// sourceDate is a day on which this source was already there, for builds that do not
// know their commit. It is moved on with each release; a test holds that.
const sourceDate = "2026-11-30"

// grace is how far ahead the clock of who committed or built may have been.
const grace = 24 * time.Hour

// pseudoVersion ends the version of a module that was fetched by its commit.
var pseudoVersion = regexp.MustCompile(`[-.](\d{14})-[0-9a-f]{12}(\+|$)`)

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
	if m := pseudoVersion.FindStringSubmatch(info.Main.Version); m != nil {
		later("20060102150405", m[1])
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			later(time.RFC3339, s.Value)
		}
	}
	return made
}

// clockError: this machine's clock is before the tool was made.
type clockError struct{ now, made time.Time }

func (e *clockError) Error() string {
	return fmt.Sprintf("this machine's clock says %s, and this fleet-hsm was made on %s: the clock is wrong",
		e.now.UTC().Format("2006-01-02 15:04 MST"), e.made.UTC().Format(time.DateOnly))
}

// checkClock refuses a clock that cannot be right. Errors: *clockError.
func (a *app) checkClock() error {
	info, _ := debug.ReadBuildInfo()
	if now, made := a.now(), madeAt(info); now.Before(made.Add(-grace)) {
		return &clockError{now, made}
	}
	return nil
}

// judgeByClock runs before every command. What an existing repository needs goes on with
// a warning, since its own dates are checked besides; init has nothing to go by.
func (a *app) judgeByClock(cmd *cobra.Command, _ []string) error {
	err := a.checkClock()
	if err == nil || cmd.Name() == "init" {
		return err
	}
	a.warn("%v", err)
	return nil
}
