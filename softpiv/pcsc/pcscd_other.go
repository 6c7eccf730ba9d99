//go:build !linux

package pcsc

import (
	"errors"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// Daemon is a running pcscd; only on Linux.
type Daemon struct{}

// StartPCSCD needs Linux.
func StartPCSCD(...*card.Card) (*Daemon, error) {
	return nil, errors.New("pcscd with vpcd runs on Linux only")
}

// Socket is empty here.
func (d *Daemon) Socket() string { return "" }

// Env is empty here.
func (d *Daemon) Env() []string { return nil }

// PID is 0 here.
func (d *Daemon) PID() int { return 0 }

// Settled does nothing here.
func (d *Daemon) Settled() error { return nil }

// Close does nothing here.
func (d *Daemon) Close() error { return nil }
