package peer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf"
)

// Init makes a repository with one Ed25519 key per role in dir and says each key's ID
// on out. Metadata or a keys folder that is there already is an error.
func Init(dir string, out io.Writer) error {
	s := store(dir)
	meta, err := s.GetMeta()
	if err != nil {
		return fmt.Errorf("reading metadata: %w", err)
	}
	if len(meta) > 0 {
		return fmt.Errorf("%q is a repository already", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "keys")); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q holds keys already", dir)
	}
	repo, err := tuf.NewRepo(s)
	if err != nil {
		return err
	}
	if err := repo.Init(false); err != nil {
		return fmt.Errorf("initialising: %w", err)
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		id, err := generateKey(repo, role)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Generated %s key with ID: %s\n", role, id)
	}
	if err := repo.Sign("root.json"); err != nil {
		return fmt.Errorf("signing root: %w", err)
	}
	return manifests(repo, nil, nil)
}
