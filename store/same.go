package store

import (
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
)

// sameContent reports whether a file of the store is c, by size and by hash. The
// hash is what the store tells; where it tells none that can be compared, the file is
// read. info may come from Stat or from List.
func sameContent(ctx context.Context, s Store, info Info, c Content) (bool, error) {
	if info.Size != c.Size {
		return false, nil
	}
	if info.SHA512 != "" {
		return info.SHA512 == c.SHA512, nil
	}
	full, err := s.Stat(ctx, info.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if full.SHA512 != "" || full.Size != c.Size {
		return full.SHA512 == c.SHA512 && full.Size == c.Size, nil
	}
	if full.MD5 != "" && c.Open != nil {
		sum, err := digest(md5.New(), c.Open)
		return err == nil && sum == full.MD5, err
	}
	sum, err := digest(sha512.New(), func() (io.ReadCloser, error) {
		r, _, err := s.Open(ctx, info.Name)
		return r, err
	})
	return err == nil && sum == c.SHA512, err
}

func digest(h hash.Hash, open func() (io.ReadCloser, error)) (string, error) {
	r, err := open()
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
