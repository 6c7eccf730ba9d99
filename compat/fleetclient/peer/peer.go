package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf"
)

// Lifetimes of what fleetctl signs.
const (
	rootLife      = 87600 * time.Hour
	targetsLife   = 26280 * time.Hour
	snapshotLife  = 26280 * time.Hour
	timestampLife = 336 * time.Hour
)

// ErrPassphrase: a key file does not open, or no passphrase is set.
var ErrPassphrase = errors.New("wrong or missing passphrase")

// PassphraseVariable names the environment variable of a role.
func PassphraseVariable(role string) string {
	return "FLEET_" + strings.ToUpper(role) + "_PASSPHRASE"
}

// passphrase answers go-tuf's question for a role's passphrase.
func passphrase(role string, _, _ bool) ([]byte, error) {
	pass := os.Getenv(PassphraseVariable(role))
	if pass == "" {
		return nil, fmt.Errorf("%w: %s is not set", ErrPassphrase, PassphraseVariable(role))
	}
	return []byte(pass), nil
}

func store(dir string) tuf.LocalStore { return tuf.FileSystemStore(dir, passphrase) }

// openStore opens a directory that holds metadata.
func openStore(dir string) (tuf.LocalStore, error) {
	s := store(dir)
	meta, err := s.GetMeta()
	if err != nil {
		return nil, fmt.Errorf("reading metadata: %w", err)
	}
	if len(meta) == 0 {
		return nil, fmt.Errorf("no repository in %q", dir)
	}
	return s, nil
}

func openRepo(dir string) (*tuf.Repo, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	return tuf.NewRepo(s)
}

// checkKeys opens the key files of roles in a store of its own, only to see whether
// the passphrases are right.
func checkKeys(dir string, roles ...string) error {
	s := store(dir)
	for _, role := range roles {
		signers, err := s.GetSigners(role)
		if err != nil {
			return fmt.Errorf("opening the %s key: %w", role, err)
		}
		if len(signers) == 0 {
			return fmt.Errorf("no %s key in %q", role, filepath.Join(dir, "keys"))
		}
	}
	return nil
}

func generateKey(repo *tuf.Repo, role string) (string, error) {
	ids, err := repo.GenKeyWithExpires(role, time.Now().Add(rootLife))
	if err != nil {
		return "", fmt.Errorf("generating the %s key: %w", role, err)
	}
	return ids[0], nil
}

// manifests signs targets (with the staged files at paths), snapshot and timestamp and
// commits.
func manifests(repo *tuf.Repo, paths []string, custom []byte) error {
	if err := repo.AddTargetsWithExpires(paths, custom, time.Now().Add(targetsLife)); err != nil {
		return fmt.Errorf("adding targets: %w", err)
	}
	if err := repo.SnapshotWithExpires(time.Now().Add(snapshotLife)); err != nil {
		return fmt.Errorf("signing snapshot: %w", err)
	}
	if err := repo.TimestampWithExpires(time.Now().Add(timestampLife)); err != nil {
		return fmt.Errorf("signing timestamp: %w", err)
	}
	if err := repo.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
