package main

import (
	"io"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
)

func cmdInstall(s *setup, args []string, stdout io.Writer) error {
	fs := s.flags("install")
	file := fs.String("file", "", "last path element, if agents would choose another")
	names, err := arguments(fs, args, 3)
	if err != nil {
		return err
	}
	agent, err := s.agent()
	if err != nil {
		return err
	}
	done, err := agent.Install(orbit.Component{Name: names[0], Platform: names[1], Channel: names[2], File: *file})
	if err != nil {
		return err
	}
	return printJSON(stdout, done)
}
