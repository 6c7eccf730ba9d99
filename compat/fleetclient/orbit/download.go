package orbit

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/theupdateframework/go-tuf/client"
	"github.com/theupdateframework/go-tuf/data"
)

// ErrNoHash: the metadata of a target has neither SHA-512 nor SHA-256; agents cannot
// tell whether they hold it.
var ErrNoHash = errors.New("no sha512 or sha256 in the target's metadata")

// ErrHash: the bytes of a target are not those the metadata names.
var ErrHash = errors.New("hash does not match the metadata")

// selectHash gives the one hash that agents compare: SHA-512, else SHA-256.
func selectHash(meta data.TargetFileMeta) (hash.Hash, []byte, error) {
	if sum, ok := meta.Hashes["sha512"]; ok {
		return sha512.New(), sum, nil
	}
	if sum, ok := meta.Hashes["sha256"]; ok {
		return sha256.New(), sum, nil
	}
	return nil, nil, ErrNoHash
}

// discard receives a download whose bytes nobody wants.
type discard struct{ io.Writer }

func (discard) Delete() error { return nil }

// Check looks a target up and downloads it to nowhere, with every check of Download.
func (a *Agent) Check(name string) (data.TargetFileMeta, error) {
	meta, err := a.Lookup(name)
	if err != nil {
		return meta, err
	}
	return meta, a.checkContent(name, meta)
}

func (a *Agent) checkContent(name string, meta data.TargetFileMeta) error {
	sum, want, err := selectHash(meta)
	if err != nil {
		return fmt.Errorf("checking %q: %w", name, err)
	}
	if err := a.client.Download(name, discard{sum}); err != nil {
		return fmt.Errorf("downloading %q: %w", name, err)
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return fmt.Errorf("checking %q: %w", name, ErrHash)
	}
	return nil
}

// CheckAll does what Check does for every target, sorted by path, and reports each. A
// lookup verifies all stored metadata again (a tenth of a second for 400 targets), so
// one is made for all: they come from the same targets.json.
func (a *Agent) CheckAll(each func(name string, meta data.TargetFileMeta, err error)) error {
	targets, err := a.known()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		each(name, targets[name], a.checkContent(name, targets[name]))
	}
	return nil
}

// nothing is a path that no repository has: looking it up tests the metadata alone.
const nothing = "no/such/target"

// known gives all targets after the test that a lookup makes. A lookup that replaced
// the stored targets.json is made once more, for the client to load what it stored.
func (a *Agent) known() (data.TargetFiles, error) {
	for {
		before, err := a.stored("targets.json")
		if err != nil {
			return nil, err
		}
		if _, err := a.client.Target(nothing); !client.IsNotFound(err) {
			return nil, fmt.Errorf("looking up targets: %w", err)
		}
		after, err := a.stored("targets.json")
		if err != nil {
			return nil, err
		}
		if bytes.Equal(before, after) {
			return a.Targets()
		}
	}
}

func (a *Agent) stored(name string) ([]byte, error) {
	meta, err := a.local.GetMeta()
	return meta[name], err
}

// partial is a download on its way; a failure removes it.
type partial struct{ *os.File }

func (p partial) Delete() error {
	p.Close()
	return os.Remove(p.Name())
}

var _ client.Destination = partial{}

// Download looks a target up, downloads it next to dst and renames it to dst once its
// length and hashes are right. The file is executable, as agents need it.
func (a *Agent) Download(name, dst string) (data.TargetFileMeta, error) {
	meta, err := a.Lookup(name)
	if err != nil {
		return meta, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(dst), ".download-*")
	if err != nil {
		return meta, fmt.Errorf("downloading %q: %w", name, err)
	}
	if err := a.client.Download(name, partial{tmp}); err != nil {
		return meta, fmt.Errorf("downloading %q: %w", name, err)
	}
	if err := finish(tmp, meta, dst); err != nil {
		os.Remove(tmp.Name())
		return meta, fmt.Errorf("downloading %q: %w", name, err)
	}
	return meta, nil
}

func finish(tmp *os.File, meta data.TargetFileMeta, dst string) error {
	if err := tmp.Chmod(0o755); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := checkFile(meta, tmp.Name()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), dst)
}

// checkFile compares a file on disk with the metadata, ErrHash if they differ.
func checkFile(meta data.TargetFileMeta, path string) error {
	sum, want, err := selectHash(meta)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return ErrHash
	}
	return nil
}
