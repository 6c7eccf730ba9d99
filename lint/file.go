package lint

import (
	"fmt"
	"io"
	"strings"
)

// linter is one look at one file.
type linter struct {
	name, platformName, path string
	want                     expectation
	platform                 platform
	findings                 []Finding
}

// File looks at one file: r holds its size bytes, name is the component ("orbit",
// "extensions/hello"), platform as in target paths ("linux-arm64"), path the source
// file's name or path, of which only the end of the last element counts. It gives
// nil if nothing is to be said.
func File(r io.ReaderAt, size int64, name, platform, path string) []Finding {
	l := &linter{name: name, platformName: platform, path: path, want: expect(name, platform), platform: platformOf(platform)}
	prefix, ok := l.readPrefix(r, size)
	if !ok {
		return l.findings
	}
	f := sniff(prefix)
	l.checkNames(f)
	l.checkContent(r, size, f)
	return l.findings
}

// errorf reports an error, or a warning where this package does not know enough.
func (l *linter) errorf(c Code, format string, args ...any) {
	if !l.want.known || !l.platform.known {
		l.warnf(c, format, args...)
		return
	}
	l.tell(c, Error, fmt.Sprintf(format, args...))
}

func (l *linter) warnf(c Code, format string, args ...any) {
	l.tell(c, Warning, fmt.Sprintf(format, args...))
}

func (l *linter) tell(c Code, s Severity, text string) {
	l.findings = append(l.findings, Finding{c, s, l.name, l.platformName, l.path, text})
}

// readPrefix gives the first bytes; ok is false if there is nothing more to look at.
func (l *linter) readPrefix(r io.ReaderAt, size int64) (prefix []byte, ok bool) {
	prefix = make([]byte, min(size, prefixSize))
	if n, err := r.ReadAt(prefix, 0); n < len(prefix) {
		l.tell(CodeUnreadable, Error, fmt.Sprintf("reading: %v", err))
		return nil, false
	}
	return prefix, true
}

func (l *linter) checkNames(f binaryFile) {
	if !l.platform.known {
		l.warnf(CodePlatform, "platform %q: agents know linux, linux-arm64, macos, macos-app, windows and windows-arm64", l.platformName)
		return
	}
	if !l.want.known {
		return
	}
	if !l.want.asked {
		l.warnf(CodePlatform, "no agent asks for %s on %s", l.name, l.platformName)
		l.want = expectation{} // whoever does has its own expectations
		return
	}
	if !l.want.named {
		return
	}
	if got := suffixOf(l.path); got != l.want.suffix {
		base := l.name[strings.LastIndex(l.name, "/")+1:]
		tell := l.errorf
		if f.format == formatNone || f.format == formatScript {
			// Whoever publishes what Fleet never ships has agents that ask for it.
			tell = l.warnf
		}
		tell(CodeFileName, "it would be published as %q, and agents ask for %q: give the file a name that ends accordingly", base+got, base+l.want.suffix)
	}
}

func (l *linter) checkContent(r io.ReaderAt, size int64, f binaryFile) {
	if size == 0 {
		l.errorf(CodeEmpty, "it has 0 bytes")
		return
	}
	switch {
	case f.format == formatScript:
		l.warnf(CodeScript, "it is a script; this may be as meant")
	case f.format.executable():
		l.checkExecutable(r, size, f)
	case f.format == formatGzip:
		l.checkGzip(r, size)
	default:
		l.checkOther(f)
	}
}

// checkExecutable judges a whole file that is an executable.
func (l *linter) checkExecutable(r io.ReaderAt, size int64, f binaryFile) {
	if l.want.kind == archive || l.want.kind == installer {
		l.errorf(CodeFormat, "it is %s, and agents unpack a %s here", f.format, strings.TrimPrefix(l.want.suffix, "."))
		return
	}
	l.checkArch(f, "", size)
	if f.fault == "" {
		l.checkWhole(r, size, f.format)
	}
}

// checkArch judges the headers of an executable of size bytes; inner is its path in an
// archive.
func (l *linter) checkArch(f binaryFile, inner string, size int64) {
	what := "it"
	if inner != "" {
		what = fmt.Sprintf("%q in the archive", inner)
	}
	if f.fault != "" {
		l.cutOff(size)(CodeTruncated, "%s is %s, and %s", what, f.format, f.fault)
		return
	}
	if !l.platform.known {
		return
	}
	if f.format != l.platform.format {
		l.errorf(CodeFormat, "%s is %s for %s, and %s runs %s", what, f.format, strings.Join(f.archs, "+"), l.platformName, l.platform.format)
		return
	}
	if !f.runsOn(l.platform) {
		l.errorf(CodeArchitecture, "%s is for %s, and %s is %s", what, strings.Join(f.archs, "+"), l.platformName, orEither(l.platform.arch))
	}
}

// tiny is less than the header of any executable: nobody's release, and no download
// that broke either, but something that stands in for one.
const tiny = 64

// cutOff is how a file is spoken of that is shorter than its headers say.
func (l *linter) cutOff(size int64) func(c Code, format string, args ...any) {
	if size < tiny {
		return l.warnf
	}
	return l.errorf
}

func orEither(arch string) string {
	if arch == "" {
		return "amd64 or arm64"
	}
	return arch
}

// checkOther judges what is neither an executable, a script nor gzip.
func (l *linter) checkOther(f binaryFile) {
	if f.format == formatXar && (l.want.kind == installer || !l.want.known) {
		return
	}
	if f.format != formatNone {
		l.errorf(CodeFormat, "it is %s, and agents cannot use that here", f.format)
		return
	}
	if l.want.known {
		l.warnf(CodeUnknownFormat, "it is neither an executable nor an archive that is known here")
	}
}
