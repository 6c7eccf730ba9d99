package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Where says where the configuration of a command is looked for. It names code (pkcs11:
// module, cmd: sources), keys and what this machine never signs, so it counts only if
// nobody but the user and root can have written it (package owned). A request is opened
// wherever it lies, on a stick, in a folder of downloads: what stands beside it is its
// sender's, so a request is opened under the holder's own configuration.
type Where struct {
	// Folder is that of the repository, file the one that a person named, or "".
	Folder, File string
	// Request: the command is given a request, and the folder counts only if it was Named,
	// or is a repository.
	Request, Named bool
	// Kinds are the kinds of key whose URIs and settings may stand in it.
	Kinds signer.Kinds
	// Warn is told of a configuration that lies there and does not count.
	Warn func(format string, args ...any)
}

// find is where the configuration is. own: it is the holder's, and what is relative in it
// is relative to it.
func (w Where) find() (file string, own bool, err error) {
	if w.File != "" {
		return w.File, false, nil
	}
	if err := CheckFolder(w.Folder); err != nil {
		return "", false, err
	}
	beside := filepath.Join(w.Folder, "fleet-hsm.yaml")
	if w.FolderCounts() {
		return beside, false, nil
	}
	dir, err := os.UserConfigDir()
	if err == nil {
		file = filepath.Join(dir, "fleet-hsm", "fleet-hsm.yaml")
	}
	if _, err := os.Lstat(beside); err == nil {
		w.Warn(`%q is not read for a request, and its policy does not hold here; what counts is %q, or a file named with --config`, beside, file)
	}
	return file, true, nil
}

// CheckFolder refuses a --path that is no folder, before anything else is tried.
func CheckFolder(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.IsDir() {
		err = errors.New("it is not a folder")
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if err != nil {
		return misuse.Of(&FolderError{path, err})
	}
	return nil
}

// FolderError: --path is no folder that can be used.
type FolderError struct {
	Path string
	Err  error
}

func (e *FolderError) Error() string { return fmt.Sprintf("--path %q: %v", e.Path, e.Err) }
func (e *FolderError) Unwrap() error { return e.Err }

// FolderCounts reports whether what lies in the folder is this machine's, and not the
// sender's of a request.
func (w Where) FolderCounts() bool { return !w.Request || w.Named || w.inRepository() }

// inRepository reports whether the folder is that of a repository, or of one that is
// being made.
func (w Where) inRepository() bool {
	for _, file := range []string{filepath.Join(w.Folder, "repository", "root.json"), filepath.Join(w.Folder, "pending", "change.json")} {
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// Load reads the configuration. A file that was not named and is not there is an empty
// one. Errors: *Error, and what CheckFolder says.
func (w Where) Load() (*Config, error) {
	file, own, err := w.find()
	if err != nil {
		return nil, err
	}
	data, err := readConfig(file)
	if errors.Is(err, fs.ErrNotExist) && w.File == "" {
		data, err = nil, nil
	}
	if err != nil {
		return nil, &Error{File: file, Err: err}
	}
	cfg, err := Parse(data, w.Kinds)
	if err != nil {
		return nil, &Error{File: file, Err: err}
	}
	cfg.File = file
	if own {
		cfg.besideItself()
	}
	return cfg, nil
}

// readConfig reads a configuration that counts. Errors: fs.ErrNotExist, *owned.Error.
func readConfig(file string) ([]byte, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, err
	}
	resolved, err := owned.Check(file, owned.Options{})
	if err != nil {
		return nil, err
	}
	return ReadBounded(resolved, MaxSize)
}

// besideItself makes what is relative in the holder's own configuration relative to
// it, and not to where the request lies.
func (c *Config) besideItself() {
	dir := filepath.Dir(c.File)
	for i, s := range c.SecretSources {
		if name, ok := strings.CutPrefix(s.Source, "file:"); ok && !filepath.IsAbs(name) {
			c.SecretSources[i].Source = "file:" + filepath.Join(dir, name)
		}
	}
	for id, u := range c.Locations {
		if u.Kind().Path && !filepath.IsAbs(u.Opaque) {
			u.Opaque = filepath.Join(dir, u.Opaque)
			c.Locations[id] = u
		}
	}
}

// Beside gives a file that the configuration names, "" if it names none: it is relative
// to the configuration.
func (c *Config) Beside(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(c.File), file)
}
