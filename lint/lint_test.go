package lint_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/lint"
)

const (
	amd64 = elf.EM_X86_64
	arm64 = elf.EM_AARCH64
	win   = uint16(pe.IMAGE_FILE_MACHINE_AMD64)
	winA  = uint16(pe.IMAGE_FILE_MACHINE_ARM64)
)

func look(name, platform, path string, data []byte) []lint.Finding {
	return lint.File(bytes.NewReader(data), int64(len(data)), name, platform, path)
}

func lines(fs []lint.Finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, f.String())
	}
	return strings.Join(out, "\n")
}

func TestGood(t *testing.T) {
	universal := fatFile(macho.CpuAmd64, macho.CpuArm64)
	good := []struct {
		name, platform, path string
		data                 []byte
	}{
		{"orbit", "linux", "orbit-linux", elfFile(amd64)},
		{"orbit", "linux-arm64", "build/orbit-linux-arm64", elfFile(arm64)},
		{"orbit", "macos", "orbit-darwin", universal},
		{"orbit", "macos", "orbit", machoFile(macho.CpuArm64)},
		{"orbit", "windows", "orbit.exe", peFile(win)},
		{"orbit", "windows-arm64", `C:\build\orbit.exe`, peFile(winA)},
		{"desktop", "linux", "desktop.tar.gz", desktop(amd64)},
		{"desktop", "linux-arm64", "whatever", desktop(arm64)},
		{"desktop", "linux", "desktop.tar.gz", tarGz(folder("./"), file("./fleet-desktop/fleet-desktop", elfFile(amd64)))},
		{"desktop", "windows", "desktop", peFile(win)},
		{"desktop", "windows-arm64", "fleet-desktop.exe", peFile(winA)},
		{"desktop", "macos", "desktop.app.tar.gz", macApp("Fleet Desktop.app/Contents/MacOS/fleet-desktop", universal)},
		{"osqueryd", "linux", "osqueryd", elfFile(amd64)},
		{"osqueryd", "windows", "osqueryd.exe", peFile(win)},
		{"osqueryd", "macos-app", "osqueryd.app.tar.gz", macApp("osquery.app/Contents/MacOS/osqueryd", universal)},
		{"nudge", "macos", "nudge.app.tar.gz", macApp("Nudge.app/Contents/MacOS/Nudge", universal)},
		{"swiftDialog", "macos", "swiftDialog.app.tar.gz", macApp("Dialog.app/Contents/MacOS/Dialog", universal)},
		{"escrowBuddy", "macos", "escrowBuddy.pkg", []byte("xar!...")},
		{"extensions/hello", "linux", "hello.ext", elfFile(amd64)},
		{"extensions/hello", "windows", "hello.ext.exe", peFile(win)},
		{"tool-of-ours", "linux", "anything", []byte("text")},
		{"tool-of-ours", "macos", "tool.pkg", []byte("xar!...")},
	}
	for _, g := range good {
		if fs := look(g.name, g.platform, g.path, g.data); len(fs) > 0 {
			t.Errorf("%s/%s %q is good:\n%s", g.name, g.platform, g.path, lines(fs))
		}
	}
}

func TestFaults(t *testing.T) {
	inner := "fleet-desktop/fleet-desktop"
	symlink := entry{"fleet-desktop/link", tar.TypeSymlink, 0o777, nil}
	faults := []struct {
		title, name, platform, path string
		data                        []byte
		code                        lint.Code
		severity                    lint.Severity
	}{
		{"linux-arm64 under linux", "orbit", "linux", "orbit", elfFile(arm64), lint.CodeArchitecture, lint.Error},
		{"linux under linux-arm64", "orbit", "linux-arm64", "orbit", elfFile(amd64), lint.CodeArchitecture, lint.Error},
		{"PR 19931, inside the archive", "desktop", "linux", "desktop.tar.gz", desktop(arm64), lint.CodeArchitecture, lint.Error},
		{"PR 19931, the other half", "desktop", "linux-arm64", "desktop.tar.gz", desktop(amd64), lint.CodeArchitecture, lint.Error},
		{"32 bits", "osqueryd", "linux", "osqueryd", elfFile(elf.EM_386), lint.CodeArchitecture, lint.Error},
		{"windows-arm64 under windows", "orbit", "windows", "orbit.exe", peFile(winA), lint.CodeArchitecture, lint.Error},
		{"windows under windows-arm64", "desktop", "windows-arm64", "fleet-desktop.exe", peFile(win), lint.CodeArchitecture, lint.Error},
		{"PowerPC on macOS", "orbit", "macos", "orbit", fatFile(macho.CpuPpc, macho.Cpu386), lint.CodeArchitecture, lint.Error},
		{"Windows under linux", "orbit", "linux", "orbit", peFile(win), lint.CodeFormat, lint.Error},
		{"Linux under windows", "orbit", "windows", "orbit.exe", elfFile(amd64), lint.CodeFormat, lint.Error},
		{"Linux under macos", "orbit", "macos", "orbit", elfFile(arm64), lint.CodeFormat, lint.Error},
		{"macOS inside a Linux archive", "desktop", "linux", "desktop.tar.gz", tarGz(file(inner, machoFile(macho.CpuArm64))), lint.CodeFormat, lint.Error},
		{"Linux inside a macOS archive", "osqueryd", "macos-app", "osqueryd.app.tar.gz", macApp("osquery.app/Contents/MacOS/osqueryd", elfFile(amd64)), lint.CodeFormat, lint.Error},
		{"an archive for an executable", "orbit", "linux", "orbit", desktop(amd64), lint.CodeFormat, lint.Error},
		{"an executable for an archive", "desktop", "linux", "desktop.tar.gz", elfFile(amd64), lint.CodeFormat, lint.Error},
		{"zip for an archive", "nudge", "macos", "nudge.app.tar.gz", []byte("PK\x03\x04...."), lint.CodeFormat, lint.Error},
		{"a package that is an archive", "escrowBuddy", "macos", "escrowBuddy.pkg", desktop(amd64), lint.CodeFormat, lint.Error},
		{"nothing", "orbit", "linux", "orbit", nil, lint.CodeEmpty, lint.Error},
		{"nothing, of nobody", "ours", "linux", "x", nil, lint.CodeEmpty, lint.Warning},
		{"nothing inside", "desktop", "linux", "desktop.tar.gz", tarGz(file(inner, nil)), lint.CodeEmpty, lint.Error},
		{"ELF cut in its segment", "orbit", "linux", "orbit", elfFile(amd64)[:130], lint.CodeTruncated, lint.Error},
		{"ELF cut in its header", "orbit", "linux", "orbit", elfFile(amd64)[:19], lint.CodeTruncated, lint.Warning},
		{"ELF cut in its list of segments", "orbit", "linux", "orbit", elfFile(amd64)[:100], lint.CodeTruncated, lint.Error},
		{"ELF with a header nobody knows", "orbit", "linux", "orbit", at(elfFile(amd64), 20, 9), lint.CodeCorrupt, lint.Warning},
		{"a stand-in for an executable", "orbit", "windows", "orbit.exe", []byte("MZ exe"), lint.CodeTruncated, lint.Warning},
		{"PE cut in its section", "orbit", "windows", "orbit.exe", peFile(win)[:140], lint.CodeTruncated, lint.Error},
		{"PE cut in its header", "orbit", "windows", "orbit.exe", peFile(win)[:66], lint.CodeTruncated, lint.Error},
		{"Mach-O cut", "orbit", "macos", "orbit", machoFile(macho.CpuArm64)[:110], lint.CodeTruncated, lint.Error},
		{"the second half of a universal binary cut", "orbit", "macos", "orbit", fatFile(macho.CpuAmd64, macho.CpuArm64)[:200], lint.CodeTruncated, lint.Error},
		{"an archive cut", "desktop", "linux", "desktop.tar.gz", cut(desktop(amd64)), lint.CodeTruncated, lint.Error},
		{"an archive cut in its checksum", "desktop", "linux", "desktop.tar.gz", desktop(amd64)[:len(desktop(amd64))-3], lint.CodeTruncated, lint.Error},
		{"an archive with a flipped bit", "desktop", "linux", "desktop.tar.gz", flip(desktop(amd64), -6), lint.CodeCorrupt, lint.Error},
		{"gzip of text", "desktop", "linux", "desktop.tar.gz", gz(strings.Repeat("no tar ", 200)), lint.CodeCorrupt, lint.Error},
		{"an empty archive", "desktop", "linux", "desktop.tar.gz", tarGz(), lint.CodeArchiveEmpty, lint.Error},
		{"an archive of folders", "desktop", "linux", "desktop.tar.gz", tarGz(folder("fleet-desktop/")), lint.CodeArchiveEmpty, lint.Error},
		{"gzip of nothing", "desktop", "linux", "desktop.tar.gz", gz(""), lint.CodeArchiveEmpty, lint.Error},
		{"a symbolic link", "desktop", "linux", "desktop.tar.gz", desktop(amd64, symlink), lint.CodeArchiveEntry, lint.Error},
		{"a hard link", "desktop", "linux", "desktop.tar.gz", desktop(amd64, entry{"fleet-desktop/l", tar.TypeLink, 0o755, nil}), lint.CodeArchiveEntry, lint.Error},
		{"a FIFO", "desktop", "linux", "desktop.tar.gz", desktop(amd64, entry{"fleet-desktop/f", tar.TypeFifo, 0o644, nil}), lint.CodeArchiveEntry, lint.Error},
		{"git archive's header", "desktop", "linux", "desktop.tar.gz", tarGz(entry{"", tar.TypeXGlobalHeader, 0, nil}, file(inner, elfFile(amd64))), lint.CodeArchiveEntry, lint.Error},
		{"two dots", "desktop", "linux", "desktop.tar.gz", desktop(amd64, file("../../etc/cron.d/x", []byte("x"))), lint.CodeArchivePath, lint.Error},
		{"an absolute name", "desktop", "linux", "desktop.tar.gz", desktop(amd64, file("/etc/passwd", []byte("x"))), lint.CodeArchivePath, lint.Error},
		{"another inner path", "desktop", "linux", "desktop.tar.gz", tarGz(file("desktop/fleet-desktop", elfFile(amd64))), lint.CodeInnerPath, lint.Error},
		{"the macOS archive under linux", "desktop", "linux", "desktop.tar.gz", macApp("Fleet Desktop.app/Contents/MacOS/fleet-desktop", machoFile(macho.CpuArm64)), lint.CodeInnerPath, lint.Error},
		{"an app without its binary", "nudge", "macos", "nudge.app.tar.gz", macApp("Nudge.app/Contents/Resources/x", []byte("x")), lint.CodeInnerPath, lint.Error},
		{"not executable inside", "desktop", "linux", "desktop.tar.gz", tarGz(entry{inner, tar.TypeReg, 0o644, elfFile(amd64)}), lint.CodeInnerMode, lint.Warning},
		{"no .exe", "orbit", "windows", "orbit", peFile(win), lint.CodeFileName, lint.Error},
		{".exe on Linux", "osqueryd", "linux", "osqueryd.exe", elfFile(amd64), lint.CodeFileName, lint.Error},
		{"plain .tar.gz for an app", "desktop", "macos", "desktop.tar.gz", macApp("Fleet Desktop.app/Contents/MacOS/fleet-desktop", machoFile(macho.CpuArm64)), lint.CodeFileName, lint.Error},
		{"an extension without .ext", "extensions/hello", "linux", "hello", elfFile(amd64), lint.CodeFileName, lint.Error},
		{"an extension that ends in .exe only", "extensions/hello", "windows", "hello.exe", peFile(win), lint.CodeFileName, lint.Error},
		{"osqueryd under macos", "osqueryd", "macos", "osqueryd", machoFile(macho.CpuArm64), lint.CodePlatform, lint.Warning},
		{"a platform nobody knows", "orbit", "widows", "orbit.exe", peFile(win), lint.CodePlatform, lint.Warning},
		{"a script", "orbit", "linux", "orbit", []byte("#!/bin/sh\n"), lint.CodeScript, lint.Warning},
		{"a script inside", "desktop", "linux", "desktop.tar.gz", tarGz(file(inner, []byte("#!/bin/sh\n"))), lint.CodeScript, lint.Warning},
		{"text", "orbit", "linux", "orbit", []byte("hello"), lint.CodeUnknownFormat, lint.Warning},
		{"text inside", "desktop", "linux", "desktop.tar.gz", tarGz(file(inner, []byte("hello"))), lint.CodeUnknownFormat, lint.Warning},
		{"somebody's component, swapped", "ours", "linux", "ours", elfFile(arm64), lint.CodeArchitecture, lint.Warning},
		{"somebody's archive, with a link", "ours", "linux", "ours.tar.gz", desktop(amd64, symlink), lint.CodeArchiveEntry, lint.Warning},
		{"somebody's archive, cut", "ours", "linux", "ours.tar.gz", cut(desktop(amd64)), lint.CodeTruncated, lint.Warning},
	}
	for _, f := range faults {
		t.Run(f.title, func(t *testing.T) {
			got := look(f.name, f.platform, f.path, f.data)
			if len(got) != 1 || got[0].Code != f.code || got[0].Severity != f.severity {
				t.Errorf("want one %s %s, got\n%s", f.severity, f.code, lines(got))
			}
			if !slices.Contains(lint.Codes(), f.code) {
				t.Errorf("code %q is not listed", f.code)
			}
		})
	}
}

func at(data []byte, offset int, b byte) []byte {
	data[offset] = b
	return data
}

func cut(data []byte) []byte { return data[:len(data)*2/3] }

func flip(data []byte, at int) []byte {
	data[len(data)+at] ^= 0x40
	return data
}

// TestItself: the test binary is a real executable of this machine.
func TestItself(t *testing.T) {
	own := map[string]string{"linux/amd64": "linux", "linux/arm64": "linux-arm64", "darwin/amd64": "macos", "darwin/arm64": "macos"}
	platform, ok := own[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		t.Fatalf("no agent runs on %s/%s; run the tests elsewhere", runtime.GOOS, runtime.GOARCH)
	}
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]int{platform: 0, "windows": 1} {
		path := "orbit"
		if at == "windows" {
			path += ".exe"
		}
		if fs := look("orbit", at, path, data); len(fs) != want {
			t.Errorf("the test binary under %s:\n%s", at, lines(fs))
		}
	}
	if fs := look("orbit", platform, "orbit", data[:len(data)-100000]); len(fs) != 1 || fs[0].Code != lint.CodeTruncated {
		t.Errorf("the test binary without its end:\n%s", lines(fs))
	}
}

func TestRelease(t *testing.T) {
	item := func(name, platform string, data []byte) lint.Item {
		return lint.Item{Name: name, Platform: platform, Path: name + "-" + platform, Size: int64(len(data)), R: bytes.NewReader(data)}
	}
	good := []lint.Item{
		item("orbit", "linux", elfFile(amd64)), item("orbit", "linux-arm64", elfFile(arm64)),
		item("desktop", "linux", desktop(amd64)), item("desktop", "linux-arm64", desktop(arm64)),
		item("orbit", "windows", peFile(win)), item("orbit", "macos", machoFile(macho.CpuArm64)),
	}
	if fs := lint.Release(good); len(fs) > 0 {
		t.Errorf("a good release:\n%s", lines(fs))
	}
	cases := []struct {
		title    string
		items    []lint.Item
		code     lint.Code
		severity lint.Severity
	}{
		{"one binary under two platforms", append(good[:5:5], item("orbit", "windows-arm64", peFile(win))), lint.CodeSameBytes, lint.Error},
		{"one archive under two platforms", append(good[:3:3], item("desktop", "linux-arm64", desktop(amd64))), lint.CodeSameBytes, lint.Error},
		{"one script under two platforms", []lint.Item{item("orbit", "linux", []byte("#!/bin/sh")), item("orbit", "macos", []byte("#!/bin/sh"))}, lint.CodeSameBytes, lint.Warning},
		{"somebody's file under two platforms", []lint.Item{item("ours", "linux", elfFile(amd64)), item("ours", "linux-arm64", elfFile(amd64))}, lint.CodeSameBytes, lint.Warning},
		{"orbit published as osqueryd", append(good[:1:1], item("osqueryd", "linux", elfFile(amd64))), lint.CodeSameBytes, lint.Warning},
		{"the same twice", append(good[:1:1], item("orbit", "linux", elfFile(arm64))), lint.CodeTwice, lint.Error},
		{"known by their sums", []lint.Item{
			{Name: "orbit", Platform: "linux", Size: 9, SHA512: "ab"}, {Name: "orbit", Platform: "macos", Size: 9, SHA512: "ab"},
		}, lint.CodeSameBytes, lint.Warning},
		{"unreadable", []lint.Item{
			{Name: "orbit", Platform: "linux", Size: 9, R: broken{}}, {Name: "orbit", Platform: "macos", Size: 9, R: broken{}},
		}, lint.CodeUnreadable, lint.Error},
	}
	for _, c := range cases {
		fs := lint.Release(c.items)
		if len(fs) != 1 || fs[0].Code != c.code || fs[0].Severity != c.severity {
			t.Errorf("%s: want one %s %s, got\n%s", c.title, c.severity, c.code, lines(fs))
		}
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("a bad disk") }

func TestUnreadable(t *testing.T) {
	fs := lint.File(broken{}, 100, "orbit", "linux", "orbit")
	if len(fs) != 1 || fs[0].Code != lint.CodeUnreadable {
		t.Errorf("got\n%s", lines(fs))
	}
}

// endless is an ELF header and a hole of any size.
type endless struct{ head []byte }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(e.head)) {
		copy(p, e.head[off:])
	}
	return len(p), nil
}

// TestMemory: a file of 4 GB costs no more than a small one.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, head := range [][]byte{elfFile(amd64), peFile(win), machoFile(macho.CpuArm64), []byte("text")} {
		lint.File(endless{head}, 4<<30, "ours", "linux", "ours")
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated for files of 4 GB", used)
	}
}

// TestArchiveMemory: an archive is unpacked in a stream.
func TestArchiveMemory(t *testing.T) {
	large := tarGz(file("fleet-desktop/fleet-desktop", elfFile(amd64)), file("fleet-desktop/zeros", make([]byte, 16<<20)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fs := look("desktop", "linux", "desktop.tar.gz", large)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 || len(fs) > 0 {
		t.Errorf("%d bytes were allocated for an archive of 16 MB\n%s", used, lines(fs))
	}
}

func FuzzFile(f *testing.F) {
	for _, data := range [][]byte{elfFile(amd64), peFile(win), machoFile(macho.CpuArm64), fatFile(macho.CpuAmd64, macho.CpuArm64), desktop(amd64), gz("x"), []byte("MZ")} {
		f.Add(data, uint8(0))
		f.Add(data, uint8(1))
	}
	where := [][2]string{{"desktop", "linux"}, {"orbit", "macos"}, {"ours", "windows"}, {"osqueryd", "macos-app"}}
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		at := where[int(which)%len(where)]
		fs := look(at[0], at[1], "x", data)
		if at[0] == "ours" && slices.ContainsFunc(fs, func(x lint.Finding) bool { return x.Severity == lint.Error }) {
			t.Errorf("an error for somebody's component:\n%s", lines(fs))
		}
	})
}

var _ io.ReaderAt = broken{}
