package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/online"
)

// memoryFlags say where a signer on a store remembers, and what a person says beside it.
type memoryFlags struct {
	state                      string
	acceptExpired, acceptOlder bool
}

func (m *memoryFlags) add(f *pflag.FlagSet) {
	f.StringVar(&m.state, "state", "", "file that remembers what was signed and seen (default: in $STATE_DIRECTORY, else in the user's state folder)")
	f.BoolVar(&m.acceptExpired, "accept-expired", false, "renew a published timestamp that has expired although nothing remembers it as the newest")
}

// file is the state file: the flag's; or one for each store in the folder that systemd
// gives a service (StateDirectory=), else in the user's own.
func (m *memoryFlags) file(store string) (string, error) {
	if m.state != "" {
		return m.state, nil
	}
	dir, err := stateFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(store))
	return filepath.Join(dir, "signer-"+hex.EncodeToString(sum[:8])+".json"), nil
}

func stateFolder() (string, error) {
	if dirs := filepath.SplitList(os.Getenv("STATE_DIRECTORY")); len(dirs) > 0 {
		return dirs[0], nil
	}
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", usage(fmt.Errorf("there is no place to remember what was signed (%w); name a file with --state", err))
		}
		base = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(base, "fleet-hsm")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", &online.StateError{File: dir, Err: err}
	}
	return dir, nil
}
