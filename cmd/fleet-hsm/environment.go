package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variableOf is the variable that stands for a flag which every command has.
func variableOf(flag string) string {
	return "FLEET_HSM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment takes the values of such flags from their variables where the command
// line does not give them. An empty variable is one that is not set.
func fromEnvironment(cmd *cobra.Command) error {
	var bad error
	cmd.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		name := variableOf(f.Name)
		value := os.Getenv(name)
		if value == "" || bad != nil || f.Name == "help" || cmd.Flags().Changed(f.Name) {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			bad = usage(&flagError{command: cmd.CommandPath(), err: fmt.Errorf("$%s: %w", name, err)})
		}
	})
	return bad
}
