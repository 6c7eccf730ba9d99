package kms

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/fleet-hsm/fleet-hsm/internal/owned"
)

// find gives the path of a plug-in's program, which is checked: nobody else can have
// written it, or can put another one in its place. Errors are *ProgramError.
func (o Options) find(program string) (string, error) {
	file := program
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	if o.Folder != "" {
		if !filepath.IsAbs(o.Folder) {
			return "", &ProgramError{Program: program, Code: "program-folder", Reason: fmt.Sprintf("the folder of plug-ins, %q, is not an absolute path", o.Folder)}
		}
		path, err := counts(filepath.Join(o.Folder, file))
		if errors.Is(err, fs.ErrNotExist) {
			return "", &ProgramError{Program: program, Code: "program-missing", Reason: fmt.Sprintf("is not in %q", o.Folder)}
		}
		return path, err
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // it would be another one in each folder
		}
		path, err := counts(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return path, err
	}
	return "", &ProgramError{Program: program, Code: "program-missing", Reason: "is in no folder of PATH"}
}

// counts checks one place. Errors: fs.ErrNotExist, *ProgramError.
func counts(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fs.ErrNotExist
	}
	resolved, err := owned.Check(path, owned.Options{Code: true})
	var not *owned.Error
	if errors.As(err, &not) {
		return "", &ProgramError{Program: path, Code: "program-writable", Reason: fmt.Sprintf("others could put their own program there: %q %s", not.Part, not.Why)}
	}
	if err != nil {
		return "", &ProgramError{Program: path, Code: "program-missing", Reason: "cannot be reached", Err: err}
	}
	fi, err := os.Stat(resolved)
	switch {
	case err != nil:
		return "", &ProgramError{Program: path, Code: "program-missing", Reason: "cannot be reached", Err: err}
	case !fi.Mode().IsRegular():
		return "", &ProgramError{Program: path, Code: "program-not-file", Reason: "is not a regular file"}
	case fi.Mode().Perm()&0o111 == 0 && runtime.GOOS != "windows":
		return "", &ProgramError{Program: path, Code: "program-not-executable", Reason: fmt.Sprintf("is not executable (mode %04o)", fi.Mode().Perm())}
	}
	return resolved, nil
}
