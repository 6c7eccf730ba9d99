package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
)

// A value that means nothing (0, "") is how the code says that a flag was not given.
// A person or a script that gives it means something else, most often a variable that
// was not set. So every flag and argument of every command passes checkGiven, which
// takes such a value only where the flag says what it means.

// nothingMeans is the annotation of a flag for which 0 or "" is a value like another.
const nothingMeans = "nothing-means"

// takesNothing says what 0 or "" means to a flag.
func takesNothing(f *pflag.FlagSet, name, meaning string) {
	if flag := f.Lookup(name); flag != nil {
		flag.Annotations = map[string][]string{nothingMeans: {meaning}}
	}
}

// optionalDuration is a duration that knows whether it was given.
type optionalDuration struct {
	config.Duration
	given bool
}

func (d *optionalDuration) Set(s string) error {
	d.given = true
	return d.Duration.Set(s)
}

func (d *optionalDuration) String() string {
	if !d.given {
		return ""
	}
	return d.Duration.String()
}

func (d optionalDuration) value() time.Duration { return time.Duration(d.Duration) }

var (
	errEmptyValue = errors.New("is empty; leave the flag out, or check the variable that it comes from")
	errBelowOne   = errors.New("is at least 1")
	errNoTime     = errors.New("is longer than 0")
	errNegative   = errors.New("cannot be negative")
)

// checkGiven refuses values that the code would take for "not given".
func checkGiven(cmd *cobra.Command, args []string) error {
	var bad error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err := checkValue(f); err != nil && bad == nil {
			bad = usage(&flagError{command: cmd.CommandPath(), err: fmt.Errorf("--%s %w", f.Name, err)})
		}
		if bad == nil && readsFile(f.Name) {
			bad = usage(checkReadable(f))
		}
	})
	if bad == nil && slices.Contains(args, "") {
		return usage(&argsError{command: cmd.CommandPath(), use: cmd.UseLine(), err: errors.New("an argument is empty; check the variable that it comes from")})
	}
	return bad
}

func checkValue(f *pflag.Flag) error {
	_, nothing := f.Annotations[nothingMeans]
	switch f.Value.Type() {
	case "string":
		if f.Value.String() == "" && !nothing {
			return errEmptyValue
		}
	case "stringArray":
		if list, ok := f.Value.(*many); ok && slices.Contains(*list, "") {
			return errEmptyValue
		}
	case "int":
		if n, err := strconv.Atoi(f.Value.String()); err != nil || n < 1 {
			return errBelowOne
		}
	case "duration":
		d, err := config.ParseDuration(f.Value.String())
		switch {
		case err == nil && d > 0, err == nil && d == 0 && nothing:
			return nil
		case nothing:
			return errNegative
		}
		return errNoTime
	}
	return nil
}
