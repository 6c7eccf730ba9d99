package meta

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLastElement is the longest last element of a target path in bytes: with
// consistent snapshots 128 hexadecimal digits and a dot stand before it, and file
// systems end at 255.
const MaxLastElement = 126

// Platforms are the platforms that Fleet's agents ask for (COMPAT 1.2).
func Platforms() []string {
	return []string{"linux", "linux-arm64", "macos", "macos-app", "windows", "windows-arm64"}
}

// CheckPlatform refuses a platform that nobody asks for.
func CheckPlatform(platform string) error {
	if slices.Contains(Platforms(), platform) {
		return nil
	}
	return &NameError{What: "platform", Value: platform, Reason: "agents ask for " + strings.Join(Platforms(), ", ")}
}

// TargetPath gives the path of a target below targets/, by the rules of
// `fleetctl updates add` (COMPAT 1.2). file is the source file's name; only its
// suffix counts. Errors: *NameError.
func TargetPath(name, platform, channel, file string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	if err := CheckElement("platform", platform); err != nil {
		return "", err
	}
	if err := CheckElement("channel", channel); err != nil {
		return "", err
	}
	base, dir := name, name
	if ext, ok := strings.CutPrefix(name, "extensions/"); ok {
		base, dir = ext, "extensions/"+ext
	}
	last := lastElement(name, base, platform, file)
	if len(last) > MaxLastElement {
		return "", &NameError{What: "target file name", Value: last, Reason: fmt.Sprintf("%d bytes; at most %d fit behind a hash", len(last), MaxLastElement)}
	}
	return path.Join(dir, platform, channel, last), nil
}

func lastElement(name, base, platform, file string) string {
	switch {
	case name == "desktop" && strings.HasPrefix(platform, "windows"):
		return "fleet-desktop.exe"
	case name == "desktop" && (platform == "linux" || platform == "linux-arm64"):
		return base + ".tar.gz"
	}
	for _, suffix := range []string{".ext.exe", ".exe", ".app.tar.gz", ".pkg", ".ext"} {
		if strings.HasSuffix(file, suffix) {
			return base + suffix
		}
	}
	return base
}

func checkName(name string) error {
	ext, isExt := strings.CutPrefix(name, "extensions/")
	if name == "extensions" {
		return &NameError{What: "name", Value: name, Reason: "is the folder of all extensions; name one as extensions/NAME"}
	}
	if !isExt {
		return CheckElement("name", name)
	}
	if err := CheckElement("name", ext); err != nil {
		return &NameError{What: "name", Value: name, Reason: "the part after extensions/ " + err.(*NameError).Reason}
	}
	return nil
}

// CheckElement refuses what cannot be one element of a target path.
func CheckElement(what, s string) error {
	bad := func(reason string) error { return &NameError{What: what, Value: s, Reason: reason} }
	switch {
	case s == "":
		return bad("is empty")
	case len(s) > 255:
		return bad(fmt.Sprintf("is %d bytes long; at most 255", len(s)))
	case !utf8.ValidString(s):
		return bad("is not UTF-8")
	case s == "." || s == "..":
		return bad("names a folder above")
	case strings.ContainsAny(s, `/\`):
		return bad("holds a path separator")
	case strings.HasPrefix(s, ".."):
		return bad("begins with two dots")
	case strings.TrimSpace(s) != s:
		return bad("begins or ends with a blank")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return bad(fmt.Sprintf("holds the control character %U", r))
		}
		if r == '?' || r == '#' || r == '%' {
			return bad(fmt.Sprintf("holds %q, which changes its meaning in a URL", r))
		}
		if r == '<' || r == '>' || r == '&' {
			// orbit's store writes these as escapes: the targets.json it kept no longer has
			// the hash that snapshot.json names, and every restart fetches it again.
			return bad(fmt.Sprintf("holds %q, with which agents lose the targets.json they stored", r))
		}
	}
	return nil
}

// CheckPath refuses a target path that would leave the folder targets/, whoever
// signed it: a repository may come from elsewhere.
func CheckPath(p string) error {
	if len(p) > 4096 {
		return &NameError{What: "target path", Value: p[:64] + "...", Reason: "is longer than 4096 bytes"}
	}
	for _, e := range strings.Split(p, "/") {
		bad := e == "" || e == "." || e == ".." || strings.ContainsAny(e, "\\\x00") || len(e) > 255
		if bad {
			return &NameError{What: "target path", Value: p, Reason: "has an element that cannot be a file name here"}
		}
	}
	return nil
}

// HashedPath gives the path of a target's bytes below targets/ with consistent
// snapshots (TUF spec, section 6.2).
func HashedPath(p, sha512 string) string {
	return path.Join(path.Dir(p), sha512+"."+path.Base(p))
}

// SplitPath gives the parts of a target path: name, platform, channel, file; an extension's name
// has two elements. ok is false for paths of another form.
func SplitPath(p string) (name, platform, channel, file string, ok bool) {
	e := strings.Split(p, "/")
	if len(e) == 5 && e[0] == "extensions" {
		return "extensions/" + e[1], e[2], e[3], e[4], true
	}
	if len(e) != 4 {
		return "", "", "", "", false
	}
	return e[0], e[1], e[2], e[3], true
}
