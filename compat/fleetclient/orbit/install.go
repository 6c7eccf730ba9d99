package orbit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// Component is one thing an agent keeps up to date.
type Component struct {
	Name     string // orbit, osqueryd, desktop, ...
	Platform string // linux, linux-arm64, macos, macos-app, windows, windows-arm64
	Channel  string // stable, edge, 1, 1.2, 1.2.3 or any other string
	// File is the last path element; empty takes the one agents use.
	File string
}

// TargetPath is the path of the component in the repository.
func (c Component) TargetPath() string {
	return path.Join(c.Name, c.Platform, c.Channel, c.file())
}

func (c Component) file() string {
	windows := strings.HasPrefix(c.Platform, "windows")
	switch {
	case c.File != "":
		return c.File
	case strings.HasPrefix(c.Name, "extensions/") && windows:
		return path.Base(c.Name) + ".ext.exe"
	case strings.HasPrefix(c.Name, "extensions/"):
		return path.Base(c.Name) + ".ext"
	case c.Name == "desktop" && windows:
		return "fleet-desktop.exe"
	case c.Name == "desktop" && strings.HasPrefix(c.Platform, "linux"):
		return "desktop.tar.gz"
	case windows:
		return c.Name + ".exe"
	case c.Name == "escrowBuddy":
		return c.Name + ".pkg"
	case c.Platform == "macos-app", c.Name == "desktop", c.Name == "nudge", c.Name == "swiftDialog":
		return c.Name + ".app.tar.gz"
	}
	return c.Name
}

// Installed says what Install did.
type Installed struct {
	Target string `json:"target"`
	Path   string `json:"path"`
	// Downloaded is false if the file was there with the right hash.
	Downloaded bool `json:"downloaded"`
	// Ran is true if the file was run with --help before it was put in place: a plain
	// executable for this machine.
	Ran bool `json:"ran"`
}

// Install goes the way of an agent that starts: update, look up, compare the local
// file's hash, download if it differs, run the new file with --help, put it in place
// below bin/ in the agent's folder. Archives are downloaded and not unpacked.
func (a *Agent) Install(c Component) (Installed, error) {
	if a.opts.Dir == "" {
		return Installed{}, errors.New("installing needs an agent with a folder")
	}
	if err := a.Update(); err != nil {
		return Installed{}, err
	}
	target := c.TargetPath()
	meta, err := a.Lookup(target)
	if err != nil {
		return Installed{}, err
	}
	done := Installed{Target: target, Path: filepath.Join(a.opts.Dir, "bin", filepath.FromSlash(target))}
	err = checkFile(meta, done.Path)
	if err == nil {
		return done, nil
	}
	if !errors.Is(err, ErrHash) && !errors.Is(err, fs.ErrNotExist) {
		return done, fmt.Errorf("comparing %q: %w", done.Path, err)
	}
	done.Downloaded = true
	done.Ran, err = a.replace(c, done.Path)
	return done, err
}

// replace downloads into staging/ and moves the file over the old one if it runs.
func (a *Agent) replace(c Component, dst string) (ran bool, err error) {
	staging := filepath.Join(a.opts.Dir, "staging")
	for _, dir := range []string{staging, filepath.Dir(dst)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return false, err
		}
	}
	tmp := filepath.Join(staging, filepath.Base(dst))
	defer os.Remove(tmp)
	if _, err := a.Download(c.TargetPath(), tmp); err != nil {
		return false, err
	}
	if runsHere(c) {
		if err := tryRun(tmp); err != nil {
			return true, err
		}
		ran = true
	}
	return ran, os.Rename(tmp, dst)
}

// runsHere: agents run the file with --help if its platform is their own. Extensions
// are loaded by osqueryd instead.
func runsHere(c Component) bool {
	if runtime.GOOS != "linux" || strings.HasSuffix(c.file(), ".tar.gz") || strings.HasPrefix(c.Name, "extensions/") {
		return false
	}
	return c.Platform == map[string]string{"amd64": "linux", "arm64": "linux-arm64"}[runtime.GOARCH]
}

func tryRun(file string) error {
	out, err := exec.Command(file, "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %q with --help: %w: %s", filepath.Base(file), err, bytes.TrimSpace(out))
	}
	return nil
}
