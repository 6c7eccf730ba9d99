package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
)

// argsError: the arguments of a command are not what it takes. Exit 2.
type argsError struct {
	command string
	use     string // the usage line
	err     error
}

func (e *argsError) Error() string { return fmt.Sprintf("%q: %v", e.command, e.err) }
func (e *argsError) Unwrap() error { return e.err }

// flagError: a flag that the command does not have, or a value that it does not take.
// Exit 2.
type flagError struct {
	command string
	err     error
}

func (e *flagError) Error() string { return e.err.Error() }
func (e *flagError) Unwrap() error { return e.err }

// unknownCommand: there is no such command. Exit 2.
type unknownCommand struct {
	parent, name string
	near         []string // what may have been meant
}

func (e *unknownCommand) Error() string {
	return fmt.Sprintf("unknown command %q of %q", e.name, e.parent)
}

// noArgs is for commands that take no argument; cobra.NoArgs speaks of an unknown
// command, and nobody meant one.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("takes no argument, not %q", args[0])
}

// wrapArgs makes wrong arguments exit 2 like a wrong flag, and say what was meant.
func wrapArgs(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil && cmd.Runnable() {
		check = cobra.ArbitraryArgs
	}
	if check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := checkGiven(c, args); err != nil {
				return err
			}
			err := check(c, args)
			switch {
			case err == nil, as[*misuse.Error](err):
				return err
			case c.HasAvailableSubCommands() && len(args) > 0:
				c.SuggestionsMinimumDistance = 2
				return usage(&unknownCommand{parent: c.CommandPath(), name: args[0], near: c.SuggestionsFor(args[0])})
			}
			return usage(&argsError{command: c.CommandPath(), use: c.UseLine(), err: err})
		}
	}
	for _, c := range cmd.Commands() {
		wrapArgs(c)
	}
}
