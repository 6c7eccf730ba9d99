package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/nearest"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
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
	near    string // the flag that may be meant, or ""
}

// wrongFlag is what the parser of flags says, and which flag may be meant.
func wrongFlag(cmd *cobra.Command, err error) error {
	e := &flagError{command: cmd.CommandPath(), err: err}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		e.near = nearest.To(unknown.GetSpecifiedName(), names)
	}
	return usage(e)
}

func (e *flagError) Error() string { return e.err.Error() }
func (e *flagError) Unwrap() error { return e.err }

// unknownCommand: there is no such command. Exit 2.
type unknownCommand struct {
	parent, name string
	near         string // what may have been meant, or ""
}

// unknown says that a command has none of that name, and which may be meant.
func unknown(parent *cobra.Command, name string) *unknownCommand {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return &unknownCommand{parent: parent.CommandPath(), name: name, near: nearest.To(name, names)}
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
			if err := fromEnvironment(c); err != nil {
				return err
			}
			if err := checkGiven(c, args); err != nil {
				return err
			}
			err := check(c, args)
			switch {
			case err == nil, as[*misuse.Error](err):
				return err
			case c.HasAvailableSubCommands() && len(args) > 0:
				return usage(unknown(c, args[0]))
			}
			return usage(&argsError{command: c.CommandPath(), use: c.UseLine(), err: err})
		}
	}
	for _, c := range cmd.Commands() {
		wrapArgs(c)
	}
}

// unknownWord: an argument is none of the words that may stand there. Exit 2.
type unknownWord struct {
	text string
	near string // what may be meant, or ""
}

func (e *unknownWord) Error() string { return e.text }

func unknownRole(role string) *unknownWord {
	return &unknownWord{fmt.Sprintf("%q is not a role; roles are %s", role, strings.Join(meta.Roles(), ", ")), nearest.To(role, meta.Roles())}
}

// noneOf: the value of a flag is none of those that it takes.
func noneOf(flag, value, word string, known []string) *unknownWord {
	return &unknownWord{fmt.Sprintf("%s %q is none of %s", flag, value, strings.Join(known, ", ")), nearest.To(word, known)}
}
