package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
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
			root := cmd.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "FLEET-HSM", Section: "1", Date: &date, Source: "fleet-hsm", Manual: "Update repositories for Fleet's agents"}
			return doc.GenManTree(root, header, args[0])
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
