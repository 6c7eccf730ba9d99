package pkcs11

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/fleet-hsm/fleet-hsm/internal/owned"
)

// checkModule looks at a module file before it is loaded: dlopen runs its code at
// once, and the binding loses the reason of a failure. It returns the path without
// symbolic links, by which loaded modules are known. Errors are *ModuleError.
func checkModule(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &ModuleError{Path: path, Code: "module-missing", Reason: "there is no such file"}
	}
	if err != nil {
		return "", &ModuleError{Path: path, Code: "module-missing", Reason: "cannot be reached", Err: err}
	}
	if err := checkFile(path, resolved); err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return resolved, nil
	}
	return resolved, checkELF(path, resolved)
}

// checkFile: a regular file that belongs to the user or to root, like every folder on
// the way to it, and that nobody else can change or swap.
func checkFile(path, resolved string) error {
	fi, err := os.Stat(resolved)
	if err != nil {
		return &ModuleError{Path: path, Code: "module-missing", Reason: "cannot be reached", Err: err}
	}
	if !fi.Mode().IsRegular() {
		return &ModuleError{Path: path, Code: "module-not-file", Reason: "is not a regular file"}
	}
	return checkOwner(path)
}

// checkOwner refuses code that somebody else has put there, or could.
func checkOwner(path string) error {
	_, err := owned.Check(path, owned.Options{Code: true})
	var not *owned.Error
	if errors.As(err, &not) {
		return &ModuleError{Path: path, Code: "module-writable", Reason: fmt.Sprintf("others could put their own code there: %q %s", not.Part, not.Why)}
	}
	return err
}

// elfOf gives what a module must be to be loaded into this process.
func elfOf(goarch string) (elf.Class, elf.Machine, bool) {
	switch goarch {
	case "amd64":
		return elf.ELFCLASS64, elf.EM_X86_64, true
	case "arm64":
		return elf.ELFCLASS64, elf.EM_AARCH64, true
	case "386":
		return elf.ELFCLASS32, elf.EM_386, true
	case "arm":
		return elf.ELFCLASS32, elf.EM_ARM, true
	case "riscv64":
		return elf.ELFCLASS64, elf.EM_RISCV, true
	case "ppc64le":
		return elf.ELFCLASS64, elf.EM_PPC64, true
	case "s390x":
		return elf.ELFCLASS64, elf.EM_S390, true
	}
	return 0, 0, false
}

func checkELF(path, resolved string) error {
	f, err := elf.Open(resolved)
	if err != nil {
		return &ModuleError{Path: path, Code: "module-not-library", Reason: "is not a shared library", Err: err}
	}
	defer f.Close()
	class, machine, known := elfOf(runtime.GOARCH)
	if known && (f.Class != class || f.Machine != machine) {
		return &ModuleError{
			Path: path, Code: "module-arch",
			Reason: fmt.Sprintf("is built for %s %s, this program for %s", f.Class, f.Machine, runtime.GOARCH),
		}
	}
	if f.Type != elf.ET_DYN {
		return &ModuleError{Path: path, Code: "module-not-library", Reason: "is not a shared library but " + f.Type.String()}
	}
	return nil
}
