package main

import (
	"io"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
)

// updated is what an update brought; Changed compares with the state before it.
type updated struct {
	orbit.Versions
	Changed bool `json:"changed"`
}

func cmdUpdate(s *setup, args []string, stdout io.Writer) error {
	if _, err := arguments(s.flags("update"), args, 0); err != nil {
		return err
	}
	agent, err := s.agent()
	if err != nil {
		return err
	}
	result, err := update(agent)
	if err != nil {
		return err
	}
	return printJSON(stdout, result)
}

func update(agent *orbit.Agent) (updated, error) {
	before, err := agent.Versions()
	if err != nil {
		return updated{}, err
	}
	if err := agent.Update(); err != nil {
		return updated{}, err
	}
	after, err := agent.Versions()
	return updated{Versions: after, Changed: after != before}, err
}
