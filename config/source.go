package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
)

// errNoSource does not repeat what was given: most often it is the secret itself.
var errNoSource = errors.New("a secret source is file:PATH, fd:N, env:NAME or cmd:COMMAND, not the secret itself; what was given is not repeated here")

// CheckSource refuses a SOURCE that could never be read.
func CheckSource(s string) error {
	kind, rest, ok := strings.Cut(s, ":")
	switch {
	case !ok || rest == "":
		return errNoSource
	case kind == "fd":
		if n, err := strconv.Atoi(rest); err != nil || n < 0 || n > 1<<16 {
			return fmt.Errorf("secret source %q: %q is not a file descriptor", s, rest)
		}
	case kind != "file" && kind != "env" && kind != "cmd":
		return errNoSource
	}
	return nil
}

// PINSourceOfFile refuses --pin-source for what has a passphrase.
func PINSourceOfFile(what string) error {
	return misuse.Errorf("--pin-source is for the PIN of a token, and %s has a passphrase: give it in $FLEET_<ROLE>_PASSPHRASE, as pin-source= in the key's URI or in secrets: of the configuration", what)
}
