package main

import (
	"encoding/json"
	"io"

	"github.com/theupdateframework/go-tuf/data"
)

// target is a target as printed.
type target struct {
	Name   string           `json:"name"`
	Length int64            `json:"length"`
	Hashes data.Hashes      `json:"hashes,omitempty"`
	Custom *json.RawMessage `json:"custom,omitempty"`
	// Error says why `all` could not accept it.
	Error string `json:"error,omitempty"`
}

func printable(name string, meta data.TargetFileMeta) target {
	return target{Name: name, Length: meta.Length, Hashes: meta.Hashes, Custom: meta.Custom}
}

func cmdLookup(s *setup, args []string, stdout io.Writer) error {
	names, err := arguments(s.flags("lookup"), args, 1)
	if err != nil {
		return err
	}
	agent, err := s.agent()
	if err != nil {
		return err
	}
	meta, err := agent.Lookup(names[0])
	if err != nil {
		return err
	}
	return printJSON(stdout, printable(names[0], meta))
}
