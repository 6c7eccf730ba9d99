package online

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
)

// StateFileFor is where a signer remembers that works on a store: a file for each store, in
// the folder that systemd gives a service (StateDirectory=), else in the user's own.
func StateFileFor(store string) (string, error) {
	dir, err := StateFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(store))
	return filepath.Join(dir, "signer-"+hex.EncodeToString(sum[:8])+".json"), nil
}

// StateFolder is where services of ours remember: the folder that systemd gives a service
// (StateDirectory=), else the user's own.
func StateFolder() (string, error) {
	if dirs := filepath.SplitList(os.Getenv("STATE_DIRECTORY")); len(dirs) > 0 {
		return dirs[0], nil
	}
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", misuse.Of(fmt.Errorf("there is no place to remember what was signed (%w); name a file with --state", err))
		}
		base = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(base, "fleet-hsm")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", &StateError{File: dir, Err: err}
	}
	return dir, nil
}
