package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"
)

// readsFile reports whether a flag names a file that the command will read. Each is looked
// for before anything else is done, by checkGiven, and all say the same if it is not there.
func readsFile(flag string) bool {
	return slices.Contains([]string{"root", "ca-file", "client-cert", "client-key", "file", "attestation-ca", "manifest"}, flag)
}

// checkReadable looks whether the files are there that a flag names.
func checkReadable(f *pflag.Flag) error {
	files := []string{f.Value.String()}
	if list, ok := f.Value.(*many); ok {
		files = *list
	}
	for _, file := range files {
		switch st, err := os.Stat(file); {
		case err != nil:
			return &fileError{flag: f.Name, file: file, err: err}
		case st.IsDir():
			return &fileError{flag: f.Name, file: file, err: errIsFolder}
		}
	}
	return nil
}

var errIsFolder = errors.New("it is a folder; a file is meant")

// fileError: a flag names a file that cannot be read.
type fileError struct {
	flag, file string
	err        error
}

func (e *fileError) Error() string {
	why := e.err
	var pe *fs.PathError
	if errors.As(why, &pe) {
		why = pe.Err
	}
	return fmt.Sprintf("--%s %q: %v", e.flag, e.file, why)
}

func (e *fileError) Unwrap() error { return e.err }

// hintPath says what to do about a file or folder that is not there, "" if nothing is missing.
func hintPath(err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	var pe *fs.PathError
	if errors.As(err, &pe) && filepath.Dir(pe.Path) != "." {
		dir := filepath.Dir(pe.Path)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("there is no folder %q: make it, or name another", dir)
		}
	}
	return "is the name right? A relative one counts from the folder that you are in, not from --path"
}
