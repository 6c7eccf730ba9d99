package main

import (
	"github.com/spf13/cobra"
)

func (a *app) rootsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "roots",
		Short: "Print the published root.json, for fleetctl package --update-roots",
		Example: `  fleet-hsm roots
  fleetctl package --type deb --update-roots "$(fleet-hsm roots)" --update-url https://updates.example.com`,
		Args: noArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if err := a.checkPath(); err != nil {
				return err
			}
			data, err := a.repo().RootJSON()
			if err != nil {
				return err
			}
			out := a.out.Raw()
			if a.out.Terminal() { // where nobody keeps the bytes, and strangers' text could act
				out = a.out.Log()
			}
			_, err = out.Write(append(data, '\n'))
			return err
		},
	}
}
