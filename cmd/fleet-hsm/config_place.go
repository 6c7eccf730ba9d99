package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Which configuration counts. It names code (pkcs11: module, cmd: sources), keys and what
// this machine never signs, so it counts only if nobody but the user and root can have
// written it (package owned). A request is opened wherever it lies, on a stick, in a
// folder of downloads: what stands beside it is its sender's, so a request is opened
// under the holder's own configuration.

// requestFrom says that the command is given a request; the folder --path counts for its
// configuration only if it was named, or is a repository.
func (a *app) requestFrom(pathNamed bool) { a.forRequest, a.pathNamed = true, pathNamed }

// configPlace is where the configuration is. own: it is the holder's, and what is
// relative in it is relative to it.
func (a *app) configPlace() (file string, own bool, err error) {
	if a.configFile != "" {
		return a.configFile, false, nil
	}
	if err := a.checkPath(); err != nil {
		return "", false, err
	}
	beside := a.within("fleet-hsm.yaml")
	if a.folderCounts() {
		return beside, false, nil
	}
	dir, err := os.UserConfigDir()
	if err == nil {
		file = filepath.Join(dir, "fleet-hsm", "fleet-hsm.yaml")
	}
	if _, err := os.Lstat(beside); err == nil {
		a.warn(`%q is not read for a request, and its policy does not hold here; what counts is %q, or a file named with --config`, beside, file)
	}
	return file, true, nil
}

// folderCounts reports whether what lies in --path is this machine's, and not the
// sender's of a request.
func (a *app) folderCounts() bool { return !a.forRequest || a.pathNamed || a.inRepository() }

// inRepository reports whether --path is the folder of a repository, or of one that is
// being made.
func (a *app) inRepository() bool {
	for _, file := range []string{a.within("repository", "root.json"), a.within("pending", "change.json")} {
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() {
			return true
		}
	}
	return false
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
	return readBounded(resolved, maxConfig)
}

// besideItself makes what is relative in the holder's own configuration relative to
// it, and not to where the request lies.
func (c *config) besideItself() {
	dir := filepath.Dir(c.file)
	for i, s := range c.secrets {
		if name, ok := strings.CutPrefix(s.source, "file:"); ok && !filepath.IsAbs(name) {
			c.secrets[i].source = "file:" + filepath.Join(dir, name)
		}
	}
	for id, u := range c.places {
		if (u.Scheme == "file" || u.Scheme == "pub") && !filepath.IsAbs(u.Opaque) {
			u.Opaque = filepath.Join(dir, u.Opaque)
			c.places[id] = u
		}
	}
}

// hintOwner says how to get round a configuration that does not count.
func hintOwner(err error) string {
	var not *owned.Error
	if errors.As(err, &not) && strings.HasPrefix(not.Why, "belongs to") {
		return "nothing of it was used. Run the command as the user whose folder it is, or name a configuration of your own with --config FILE"
	}
	return `nothing of it was used. If it is yours, let nobody else write to it: "chmod go-w" on what is named; or name a configuration in a folder of your own with --config FILE`
}

// checkConfig is the line of doctor about the configuration. One that does not count is
// a problem, and the rest is looked at without it.
func (a *app) checkConfig(res *doctorResult) error {
	cfg, err := a.config()
	if as[*owned.Error](err) {
		res.add("configuration", signer.Finding{Code: "configuration", Text: err.Error(), Err: err})
		a.cfg, err = parseConfig(nil)
		return err
	}
	if err != nil {
		return err
	}
	text := cfg.file + " counts; nobody but the user and root can change it"
	if _, err := os.Stat(cfg.file); errors.Is(err, fs.ErrNotExist) {
		text = "none: " + cfg.file + " is not there"
	}
	res.add("configuration", signer.Finding{Code: "configuration", OK: true, Text: text})
	return nil
}
