package keyring

import (
	"errors"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// TokenEntry is a device with --json.
type TokenEntry struct {
	URI          string   `json:"uri,omitempty"`
	Kind         string   `json:"kind"`
	Label        string   `json:"label,omitempty"`
	Serial       string   `json:"serial,omitempty"`
	Model        string   `json:"model,omitempty"`
	Manufacturer string   `json:"manufacturer,omitempty"`
	Firmware     string   `json:"firmware,omitempty"`
	Reader       string   `json:"reader,omitempty"`
	Module       string   `json:"module,omitempty"`
	Initialized  bool     `json:"initialized"`
	TriesLeft    *int     `json:"pin_tries_left,omitempty"`
	Flags        []string `json:"flags,omitempty"`
	MaxSessions  int      `json:"max_sessions,omitempty"`
	Slots        []string `json:"slots,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
	Problem      string   `json:"problem,omitempty"`
}

// EntryOfToken is what is told of a device.
func EntryOfToken(t signer.Token) TokenEntry {
	e := TokenEntry{
		URI: t.URI.String(), Kind: t.Kind, Label: t.Label, Serial: t.Serial, Model: t.Model, Manufacturer: t.Manufacturer,
		Firmware: t.Firmware, Reader: t.Reader, Module: t.Module, Initialized: t.Initialized, Flags: t.Flags,
		MaxSessions: t.MaxSessions, Slots: t.Slots, Warnings: t.Warnings, Problem: t.Problem,
	}
	if t.PINTriesLeft >= 0 {
		e.TriesLeft = &t.PINTriesLeft
	}
	return e
}

// Devices are the kinds of device that an argument names, or with "" all that this machine
// is set up for.
func (k *Ring) Devices(arg string) ([]signer.URI, error) {
	if arg != "" {
		u, err := k.Parse(arg)
		if err != nil {
			return nil, err
		}
		if _, ok := k.Backends[u.Scheme].(signer.Tokener); !ok {
			return nil, misuse.Errorf("%q names no device; devices are %s", arg, k.opts.Kinds.Devices())
		}
		return []signer.URI{u}, nil
	}
	var out []signer.URI
	for _, kind := range k.opts.Kinds.Ready(k.opts.Settings) {
		if _, ok := k.Backends[kind.Scheme].(signer.Tokener); ok {
			out = append(out, kind.URI())
		}
	}
	return out, nil
}

// EachDevice asks devices of each kind, and says how many they show, and which could not be
// asked. What can be shown is: one kind that cannot be asked does not hide the others.
func (k *Ring) EachDevice(arg string, ask func(be signer.Backend, u signer.URI) (int, error)) (found int, failed []error, err error) {
	kinds, err := k.Devices(arg)
	if err != nil {
		return 0, nil, err
	}
	for _, u := range kinds {
		n, err := ask(k.Backends[u.Scheme], u)
		if err != nil {
			failed = append(failed, err)
		}
		found += n
	}
	if len(failed) > 0 && found == 0 {
		return 0, nil, errors.Join(failed...)
	}
	return found, failed, nil
}
