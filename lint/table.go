package lint

import (
	"path"
	"slices"
	"strings"
)

// kind is how a component is shipped.
type kind int

const (
	anything kind = iota
	executable
	archive
	installer // .pkg
)

// expectation is what agents need of a component on a platform.
type expectation struct {
	known bool // a component of the table
	asked bool // agents ask for it on this platform
	kind  kind
	// suffix of the published name, and whether the published name is made from the
	// source's (desktop's is fixed by platform).
	suffix string
	named  bool
	// inner is the path in an archive, or with a final slash the folder, of what
	// agents start.
	inner string
}

// platform is what a platform runs.
type platform struct {
	known  bool
	format format
	arch   string // amd64, arm64; empty: either
}

func platformOf(name string) platform {
	switch name {
	case "linux":
		return platform{true, formatELF, "amd64"}
	case "linux-arm64":
		return platform{true, formatELF, "arm64"}
	case "macos", "macos-app":
		return platform{true, formatMachO, ""}
	case "windows":
		return platform{true, formatPE, "amd64"}
	case "windows-arm64":
		return platform{true, formatPE, "arm64"}
	}
	return platform{}
}

// expect is the table of COMPAT.md 1.2 and 5.3.
func expect(name, platform string) expectation {
	windows := strings.HasPrefix(platform, "windows")
	linux := strings.HasPrefix(platform, "linux")
	exe := ""
	if windows {
		exe = ".exe"
	}
	app := func(inner string, on ...string) expectation {
		return expectation{true, slices.Contains(on, platform), archive, ".app.tar.gz", true, inner}
	}
	switch {
	case name == "orbit":
		return expectation{true, platform != "macos-app", executable, exe, true, ""}
	case name == "desktop" && linux:
		return expectation{true, true, archive, ".tar.gz", false, "fleet-desktop/fleet-desktop"}
	case name == "desktop" && windows:
		return expectation{true, true, executable, ".exe", false, ""}
	case name == "desktop":
		return app("Fleet Desktop.app/Contents/MacOS/fleet-desktop", "macos")
	case name == "osqueryd" && (linux || windows):
		return expectation{true, true, executable, exe, true, ""}
	case name == "osqueryd":
		return app("osquery.app/Contents/MacOS/osqueryd", "macos-app")
	case name == "nudge":
		return app("Nudge.app/Contents/MacOS/", "macos")
	case name == "swiftDialog":
		return app("Dialog.app/Contents/MacOS/", "macos")
	case name == "escrowBuddy":
		return expectation{true, platform == "macos", installer, ".pkg", true, ""}
	case strings.HasPrefix(name, "extensions/"):
		return expectation{true, platform != "macos-app", executable, ".ext" + exe, true, ""}
	}
	return expectation{}
}

// suffixOf is the part of the source's name that goes into the published one.
func suffixOf(source string) string {
	base := path.Base(strings.ReplaceAll(source, `\`, "/"))
	for _, s := range []string{".ext.exe", ".exe", ".app.tar.gz", ".pkg", ".ext"} {
		if strings.HasSuffix(base, s) {
			return s
		}
	}
	return ""
}
