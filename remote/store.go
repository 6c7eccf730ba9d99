package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// OpenStore opens the store that a URL or a plain folder names, and says where it is.
func OpenStore(url, caFile string) (store.Store, store.Location, error) {
	if url == "" {
		return nil, store.Location{}, misuse.Errorf(`name the store: a folder or s3://BUCKET/PREFIX, here or as "store:" in the configuration`)
	}
	url, err := asURL(url)
	if err != nil {
		return nil, store.Location{}, err
	}
	loc, err := store.Parse(url)
	if err != nil {
		return nil, store.Location{}, err
	}
	s, err := store.Open(loc, store.OpenOptions{CAFile: caFile})
	if err != nil && !errors.As(err, new(*store.CredentialError)) {
		return nil, loc, misuse.Of(err) // nothing was asked of the store yet
	}
	return s, loc, err
}

// asURL gives the URL of a plain folder. One that is not there is made by a publication,
// but not the folders above it: so much of a name was not mistyped.
func asURL(place string) (string, error) {
	if !plainFolder(place) {
		return place, nil
	}
	abs, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	if st, err := os.Stat(filepath.Dir(abs)); err != nil || !st.IsDir() {
		return "", misuse.Errorf("store %q: there is no folder %q", place, filepath.Dir(abs))
	}
	if st, err := os.Stat(abs); err == nil && !st.IsDir() {
		return "", misuse.Errorf("store %q is not a folder", place)
	}
	return store.Location{Scheme: "file", Path: filepath.ToSlash(abs)}.String(), nil
}

// plainFolder: what has no scheme is a path of this machine.
func plainFolder(place string) bool {
	if filepath.VolumeName(place) != "" {
		return true
	}
	scheme, _, ok := strings.Cut(place, ":")
	return !ok || strings.ContainsAny(scheme, `/\.`)
}

// Identity says whose credentials a store is written with, "" for none: a dry run can still
// read a public bucket then, and a write is refused when it comes.
func Identity(ctx context.Context, s store.Store) (string, error) {
	signed, ok := s.(store.Identified)
	if !ok {
		return "", nil
	}
	who, err := signed.Identity(ctx)
	if errors.Is(err, store.ErrNoCredentials) {
		return "", nil
	}
	if err != nil {
		return "", &StoreError{Err: err}
	}
	return who, nil
}

// StoreError marks what a store answered, or failed to answer.
type StoreError struct {
	Err error
	// Begun: something may have been written.
	Begun bool
}

func (e *StoreError) Error() string { return e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// RejectedError: a client refuses what a store offers. Exit 4.
type RejectedError struct{ Err error }

func (e *RejectedError) Error() string { return "a client refuses what is published: " + e.Err.Error() }
func (e *RejectedError) Unwrap() error { return e.Err }

// UnverifiedError: a client refuses what was to be published; the report says why. Exit 4.
type UnverifiedError struct{ Report *verify.Report }

func (e *UnverifiedError) Error() string {
	return fmt.Sprintf("%q: %d error(s)", e.Report.Source, e.Report.Count(verify.Error))
}
