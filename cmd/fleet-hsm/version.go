package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
)

type versionResult struct {
	Schema  int    `json:"schema"`
	Command string `json:"command"`
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Example: `  fleet-hsm version
  fleet-hsm version --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionResult{1, "version", version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return a.print(v, func(w *prompt.Writer) { w.Printf("fleet-hsm %s (%s, %s)\n", v.Version, v.Go, v.System) })
		},
	}
}
