package peer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf"
	"github.com/theupdateframework/go-tuf/pkg/keys"
)

const backupFolder = ".backup"

// Rotate revokes every key in keys/ROLE.json, adds a new one and signs everything.
func Rotate(dir, role string, out io.Writer) error {
	repo, err := openRepo(dir)
	if err != nil {
		return err
	}
	s, err := openStore(dir)
	if err != nil {
		return err
	}
	if err := checkKeys(dir, "root", "targets", "snapshot", "timestamp"); err != nil {
		return err
	}
	old, err := s.GetSigners(role)
	if err != nil {
		return fmt.Errorf("opening the %s key: %w", role, err)
	}
	folders := []string{filepath.Join(dir, "repository"), filepath.Join(dir, "keys")}
	for _, folder := range folders {
		if err := backUp(folder); err != nil {
			return err
		}
	}
	if err := replaceKeys(repo, role, old, out); err != nil {
		fmt.Fprintln(out, "Rolling back.")
		for _, folder := range folders {
			err = errors.Join(err, restore(folder))
		}
		return err
	}
	for _, folder := range folders {
		if err := os.RemoveAll(filepath.Join(folder, backupFolder)); err != nil {
			return err
		}
	}
	return nil
}

func replaceKeys(repo *tuf.Repo, role string, old []keys.Signer, out io.Writer) error {
	for _, key := range old {
		err := repo.RevokeKeyWithExpires(role, key.PublicData().IDs()[0], time.Now().Add(rootLife))
		// Keys revoked earlier stay in the file and are not in root any more.
		if err != nil && !errors.As(err, &tuf.ErrKeyNotFound{}) {
			return fmt.Errorf("revoking the old key: %w", err)
		}
	}
	id, err := generateKey(repo, role)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Generated %s key with ID: %s\n", role, id)
	if err := repo.Sign("root.json"); err != nil {
		return fmt.Errorf("signing root: %w", err)
	}
	return manifests(repo, nil, nil)
}

// backUp copies the *.json of a folder into its .backup, which must not exist.
func backUp(folder string) error {
	backup := filepath.Join(folder, backupFolder)
	if err := os.Mkdir(backup, 0o744); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	return copyJSON(folder, backup)
}

// restore puts the copies back and removes files that came later.
func restore(folder string) error {
	backup := filepath.Join(folder, backupFolder)
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := os.Stat(filepath.Join(backup, filepath.Base(file))); err == nil {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if err := copyJSON(backup, folder); err != nil {
		return err
	}
	return os.RemoveAll(backup)
}

func copyJSON(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), content, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
