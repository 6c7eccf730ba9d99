package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand writes the man pages; packages are made with it.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages of all commands into a folder",
		Long: `man writes one page for each command, made from its help. The date on them is that of
SOURCE_DATE_EPOCH if it is set, so that packages can be reproduced.`,
		Example: `  fleet-hsm man /usr/local/share/man/man1
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) fleet-hsm man build/man`,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := manDate()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return writePages(cmd.Root(), args[0], date.Format("Jan 2006"))
		},
	}
}

func manDate() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Now().UTC(), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, usage(fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", s))
	}
	return time.Unix(n, 0).UTC(), nil
}

// writePages writes the page of a command, and of each below it.
func writePages(cmd *cobra.Command, dir, date string) error {
	for _, c := range below(cmd) {
		if err := writePages(c, dir, date); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, pageOf(cmd)+".1"), []byte(manPage(cmd, date)), 0o644)
}

// below are the commands that help lists.
func below(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
			out = append(out, c)
		}
	}
	return out
}

func pageOf(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is a command's help as a page of section 1. It is written as roff here: cobra's
// generator goes through Markdown, which reads marks into plain text, and whose reader would
// be a fourteenth of what every start of the program does.
func manPage(cmd *cobra.Command, date string) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"FLEET\\-HSM\" \"1\" %q \"fleet\\-hsm\" \"Update repositories for Fleet's agents\"\n", date)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageOf(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fP\n", roff(cmd.UseLine()))
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(text))
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLE\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, pageOf(cmd.Parent()))
	}
	for _, c := range below(cmd) {
		also = append(also, pageOf(c))
	}
	for i, page := range also {
		also[i] = "\\fB" + roff(page) + "\\fP(1)"
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(also, ", "))
	return b.String()
}

func manFlags(b *strings.Builder, head string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", head)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		row := flagRow(f)
		fmt.Fprintf(b, ".TP\n\\fB%s\\fP\n%s\n", roff(strings.TrimSpace(row[0])), roff(row[1]))
	})
}

// roff is plain text as roff: a line that begins with a dot or a quote is no request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	for _, mark := range []string{".", "'"} {
		text = strings.ReplaceAll("\n"+text, "\n"+mark, "\n\\&"+mark)[1:]
	}
	return text
}
