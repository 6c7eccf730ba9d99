package pkcs11

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ModuleError says which module cannot be used and why. It matches signer.ErrConfig.
type ModuleError struct {
	Path   string // path or name as it was given; "" if none was
	Code   string // stable: "module-none", "module-missing", "module-arch", ...
	Reason string
	Err    error // what the system or the module said; may be nil
}

func (e *ModuleError) Error() string {
	s := e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Path == "" {
		return s
	}
	return fmt.Sprintf("PKCS#11 module %q: %s", e.Path, s)
}

func (e *ModuleError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, signer.ErrConfig) hold.
func (e *ModuleError) Is(target error) bool {
	return target == signer.ErrConfig || target == signer.ErrNotNamed && e.Code == "module-none" || target == signer.ErrNotStarted && e.Code == "module-init"
}

// chosen is a module to load.
type chosen struct {
	path string
	// initArgs is handed to C_Initialize as pReserved (p11-kit's x-init-reserved);
	// NSS wants its parameters there. "" for NULL.
	initArgs string
}

// choose finds the module of a URI: its module-path, else Options.Module, else its
// module-name, looked up in p11-kit's *.module files and module folders. A URI is the
// user's own (command line or configuration); one that came in a repository or a
// request never gets here with a query.
func (o Options) choose(u signer.URI) (chosen, error) {
	if p, ok := u.Query("module-path"); ok {
		return absolute(p, o.InitArgs)
	}
	if o.Module != "" {
		return absolute(o.Module, o.InitArgs)
	}
	if name, ok := u.Query("module-name"); ok {
		return o.byName(name)
	}
	return chosen{}, &ModuleError{Code: "module-none", Reason: "no PKCS#11 module is named"}
}

func absolute(path, initArgs string) (chosen, error) {
	if !filepath.IsAbs(path) {
		return chosen{}, &ModuleError{Path: path, Code: "module-not-absolute", Reason: "the path is not absolute"}
	}
	return chosen{path: path, initArgs: initArgs}, nil
}

// configDirs are where p11-kit keeps its *.module files; the first file of a name
// wins (pkcs11.conf(5)).
func configDirs() []string {
	var dirs []string
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".config", "pkcs11", "modules"))
	}
	return append(dirs, "/etc/pkcs11/modules", "/usr/local/share/p11-kit/modules", "/usr/share/p11-kit/modules")
}

// libraryDirs are where modules without a folder in their name are looked for.
func libraryDirs() []string {
	multiarch, _ := filepath.Glob("/usr/lib/*-linux-gnu*/pkcs11")
	return append(multiarch, "/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/usr/local/lib/pkcs11")
}

// byName finds the module that p11-kit knows as name, or the library of that name.
func (o Options) byName(name string) (chosen, error) {
	dirs := o.ConfigDirs
	if dirs == nil {
		dirs = configDirs()
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, name+".module")
		c, err := readModuleFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return chosen{}, &ModuleError{Path: file, Code: "module-file", Reason: "cannot be read", Err: err}
		}
		return c.inLibraryDir()
	}
	for _, lib := range []string{name, name + ".so", "lib" + name + ".so"} {
		if !strings.HasSuffix(lib, ".so") {
			continue
		}
		if c, err := (chosen{path: lib}).inLibraryDir(); err == nil {
			return c, nil
		}
	}
	return chosen{}, &ModuleError{
		Path: name, Code: "module-name",
		Reason: fmt.Sprintf("no file %q in %s, and no library of that name", name+".module", strings.Join(dirs, ", ")),
	}
}

// inLibraryDir completes a module path that is relative to p11-kit's module folder.
func (c chosen) inLibraryDir() (chosen, error) {
	if filepath.IsAbs(c.path) {
		return c, nil
	}
	dirs := libraryDirs()
	for _, dir := range dirs {
		p := filepath.Join(dir, c.path)
		if _, err := os.Stat(p); err == nil {
			c.path = p
			return c, nil
		}
	}
	return chosen{}, &ModuleError{Path: c.path, Code: "module-missing", Reason: "is in none of " + strings.Join(dirs, ", ")}
}

// readModuleFile reads the lines "module:" and "x-init-reserved:" of a p11-kit module
// file.
func readModuleFile(file string) (chosen, error) {
	f, err := os.Open(file)
	if err != nil {
		return chosen{}, err
	}
	defer f.Close()
	var c chosen
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		key, value, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "module":
			c.path = value
		case "x-init-reserved":
			c.initArgs = value
		}
	}
	if err := lines.Err(); err != nil {
		return chosen{}, err
	}
	if c.path == "" {
		return chosen{}, errors.New(`it has no line "module:"`)
	}
	return c, nil
}
