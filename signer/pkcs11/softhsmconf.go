package pkcs11

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SoftHSM answers a missing configuration or token folder with CKR_GENERAL_ERROR and
// no reason, so the files are looked at from here. Other modules need nothing of the
// kind; the file's name decides, and only about the wording of an error.

// whyNotInitialized looks for the reason of a failed C_Initialize; "" if none is seen.
func whyNotInitialized(module string) string {
	if !strings.Contains(filepath.Base(module), "softhsm") {
		return ""
	}
	_, problem := softHSMProblem()
	return problem
}

// softHSMProblem checks SoftHSM's configuration file and token folder. code and text
// are empty where nothing is wrong.
func softHSMProblem() (code, text string) {
	conf := softHSMConf()
	if conf == "" {
		return "softhsm-config-missing", "SoftHSM has no configuration file, and SOFTHSM2_CONF names none"
	}
	dir, err := tokenDir(conf)
	if err != nil {
		return "softhsm-config-missing", fmt.Sprintf("SoftHSM's configuration file %q cannot be read: %v", conf, reason(err))
	}
	if dir == "" {
		return "softhsm-config-missing", fmt.Sprintf("SoftHSM's configuration file %q has no line directories.tokendir", conf)
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return "softhsm-tokendir-missing", fmt.Sprintf("SoftHSM's token folder %q (from %q) cannot be reached: %v", dir, conf, reason(err))
	}
	if !fi.IsDir() {
		return "softhsm-tokendir-missing", fmt.Sprintf("SoftHSM's token folder %q (from %q) is not a folder", dir, conf)
	}
	if f, err := os.Open(dir); err != nil {
		return "softhsm-tokendir-missing", fmt.Sprintf("SoftHSM's token folder %q (from %q) cannot be read: %v", dir, conf, reason(err))
	} else {
		f.Close()
	}
	return "", ""
}

// reason cuts the path out of a file error: the text names it already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// softHSMConf finds the configuration file as SoftHSM does (softhsm2.conf(5)).
func softHSMConf() string {
	if p := os.Getenv("SOFTHSM2_CONF"); p != "" {
		return p
	}
	var paths []string
	if home, err := os.UserHomeDir(); err == nil {
		paths = append(paths, filepath.Join(home, ".config", "softhsm2", "softhsm2.conf"))
	}
	paths = append(paths, "/etc/softhsm/softhsm2.conf", "/etc/softhsm2.conf", "/usr/local/etc/softhsm2.conf")
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// tokenDir reads directories.tokendir from a configuration file; "" if it has none.
func tokenDir(conf string) (string, error) {
	f, err := os.Open(conf)
	if err != nil {
		return "", err
	}
	defer f.Close()
	dir := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), "=")
		if ok && strings.TrimSpace(key) == "directories.tokendir" {
			dir = strings.TrimSpace(value)
		}
	}
	return dir, lines.Err()
}
