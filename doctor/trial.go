package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// CopyForTrial copies a repository's folder, keys and all, to where a rotation may be tried;
// drop takes the copy away. What travels in pending/ is another change and stays behind.
func CopyForTrial(from string) (dir string, drop func() error, err error) {
	dir, err = os.MkdirTemp("", "fleet-hsm-try-")
	if err != nil {
		return "", nil, err
	}
	drop = func() error { return os.RemoveAll(dir) }
	for _, step := range []func() error{
		func() error { return os.CopyFS(dir, os.DirFS(from)) },
		func() error { return os.RemoveAll(filepath.Join(dir, "pending")) },
		func() error { return closeKeys(dir) },
	} {
		if err := step(); err != nil {
			return "", nil, errors.Join(err, drop())
		}
	}
	return dir, drop, nil
}

// CheckTrial looks at the copy as a client that trusts the oldest root.
func CheckTrial(ctx context.Context, dir string) error {
	report, err := verify.Run(ctx, verify.Options{Source: filepath.Join(dir, "repository"), FromEveryRoot: true, MetadataOnly: true})
	if err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("the copy does not verify: " + report.Findings[0].String())
	}
	return nil
}

// closeKeys gives the copied folder of keys the mode that it must have.
func closeKeys(dir string) error {
	keys := filepath.Join(dir, "keys")
	return filepath.WalkDir(keys, func(path string, e os.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist) && path == keys:
			return nil
		case err != nil:
			return err
		case e.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}
