package meta_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// The rules of `fleetctl updates add` (COMPAT 1.2), one line for each condition and
// each file in use.
func TestTargetPath(t *testing.T) {
	for _, c := range []struct{ name, platform, channel, file, want string }{
		// The base: the source's own name never counts.
		{"orbit", "linux", "stable", "orbit-linux", "orbit/linux/stable/orbit"},
		{"orbit", "linux-arm64", "1.2.3", "whatever", "orbit/linux-arm64/1.2.3/orbit"},
		{"osqueryd", "linux", "edge", "osqueryd", "osqueryd/linux/edge/osqueryd"},
		// Suffixes of the source, in this order.
		{"orbit", "windows", "stable", "orbit.exe", "orbit/windows/stable/orbit.exe"},
		{"osqueryd", "macos-app", "5", "osqueryd.app.tar.gz", "osqueryd/macos-app/5/osqueryd.app.tar.gz"},
		{"nudge", "macos", "1.1.10.81462", "nudge.app.tar.gz", "nudge/macos/1.1.10.81462/nudge.app.tar.gz"},
		{"swiftDialog", "macos", "stable", "x.app.tar.gz", "swiftDialog/macos/stable/swiftDialog.app.tar.gz"},
		{"escrowBuddy", "macos", "s4", "Escrow Buddy.pkg", "escrowBuddy/macos/s4/escrowBuddy.pkg"},
		{"tool", "linux", "1", "tool.ext", "tool/linux/1/tool.ext"},
		{"tool", "windows", "1", "tool.ext.exe", "tool/windows/1/tool.ext.exe"},
		// A plain .tar.gz of another name gets none, nor does a suffix in the middle.
		{"orbit", "linux", "1", "orbit.tar.gz", "orbit/linux/1/orbit"},
		{"orbit", "linux", "1", "orbit.exe.bak", "orbit/linux/1/orbit"},
		{"orbit", "linux", "1", "orbit.EXE", "orbit/linux/1/orbit"},
		// desktop has rules of its own, whatever the source is called.
		{"desktop", "windows", "stable", "fleet-desktop.exe", "desktop/windows/stable/fleet-desktop.exe"},
		{"desktop", "windows", "stable", "something", "desktop/windows/stable/fleet-desktop.exe"},
		{"desktop", "windows-arm64", "edge", "desktop.exe", "desktop/windows-arm64/edge/fleet-desktop.exe"},
		{"desktop", "linux", "stable", "desktop", "desktop/linux/stable/desktop.tar.gz"},
		{"desktop", "linux", "stable", "desktop.tar.gz", "desktop/linux/stable/desktop.tar.gz"},
		{"desktop", "linux-arm64", "stable", "x.exe", "desktop/linux-arm64/stable/desktop.tar.gz"},
		{"desktop", "macos", "stable", "desktop.app.tar.gz", "desktop/macos/stable/desktop.app.tar.gz"},
		{"desktop", "macos", "stable", "desktop", "desktop/macos/stable/desktop"},
		// Extensions have five parts, and suffix rules still apply.
		{"extensions/hello", "linux", "1", "hello.ext", "extensions/hello/linux/1/hello.ext"},
		{"extensions/hello", "windows", "1", "x.ext.exe", "extensions/hello/windows/1/hello.ext.exe"},
		{"extensions/hello", "macos", "stable", "hello", "extensions/hello/macos/stable/hello"},
		{"extensions/desktop", "windows", "stable", "x.exe", "extensions/desktop/windows/stable/desktop.exe"},
	} {
		got, err := meta.TargetPath(c.name, c.platform, c.channel, c.file)
		if err != nil || got != c.want {
			t.Errorf("%s for %s on %s from %q: %q, %v; want %q", c.name, c.platform, c.channel, c.file, got, err, c.want)
		}
		name, platform, channel, _, ok := meta.SplitPath(got)
		if !ok || name != c.name || platform != c.platform || channel != c.channel {
			t.Errorf("%q is read as %q, %q, %q", got, name, platform, channel)
		}
	}
}

func TestTargetPathRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, value := range []string{
		"", ".", "..", "../a", "a/b", "/a", "a/", `a\b`, "a\x00", "a\n", "a\x1b[31m", "a\x7f", "\xff", long, "..a", " a", "a ", "a?", "a#", "a%2f", "a\u202e", "a\u2028",
		"a&b", "a<b", "a>b",
	} {
		for what, args := range map[string][3]string{
			"name": {value, "linux", "1"}, "extension": {"extensions/" + value, "linux", "1"}, "platform": {"orbit", value, "1"}, "channel": {"orbit", "linux", value},
		} {
			p, err := meta.TargetPath(args[0], args[1], args[2], "orbit")
			var ne *meta.NameError
			if !errors.As(err, &ne) || p != "" {
				t.Errorf("%s %q gives %q, %v", what, value, p, err)
			}
		}
	}
	for _, name := range []string{"extensions", "extensions/a/b", "extensions//a", "Extensions/a"} {
		if p, err := meta.TargetPath(name, "linux", "1", "x"); err == nil {
			t.Errorf("name %q gives %q", name, p)
		}
	}
}

// TestCheckPath: whoever signed it, a path stays below targets/.
func TestCheckPath(t *testing.T) {
	for _, p := range []string{"", "..", "../a", "a/../../b", "a/..", "./a", "/a", "a/", "a//b", `a\b`, "a\x00", strings.Repeat("x", 256), strings.Repeat("x/", 2100) + "x"} {
		var ne *meta.NameError
		if err := meta.CheckPath(p); !errors.As(err, &ne) {
			t.Errorf("%.40q: %v", p, err)
		}
	}
	for _, p := range []string{"a", "a/b/c/d", "..a/b..", "orbit/linux/1.0 beta/x"} {
		if err := meta.CheckPath(p); err != nil {
			t.Error(err)
		}
	}
}
