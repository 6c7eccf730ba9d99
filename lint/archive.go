package lint

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// maxUnpacked bounds what is looked through in an archive: a hundred times the
// largest that Fleet ships.
const maxUnpacked = 16 << 30

var errUnpacked = errors.New("too much content")

// checkGzip judges a gzip file: agents unpack tar.gz and nothing else.
func (l *linter) checkGzip(r io.ReaderAt, size int64) {
	if l.want.kind == executable || l.want.kind == installer {
		l.errorf(CodeFormat, "it is gzip, and agents do not unpack %s on %s", l.name, l.platformName)
		return
	}
	zip, err := gzip.NewReader(bufio.NewReaderSize(io.NewSectionReader(r, 0, size), prefixSize))
	if err != nil {
		l.archiveError(err)
		return
	}
	stream := &bounded{r: zip, left: maxUnpacked}
	a := &archiveLook{linter: l, tar: tar.NewReader(stream)}
	if err := a.walk(); err != nil {
		l.archiveError(err)
		return
	}
	// The checksum stands at the very end, behind what tar reads.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		l.archiveError(err)
		return
	}
	a.verdict()
}

// archiveError names what ended the reading.
func (l *linter) archiveError(err error) {
	switch {
	case errors.Is(err, errUnpacked):
		l.warnf(CodeArchiveSize, "it unpacks to more than %d GB; the rest was not looked at", maxUnpacked>>30)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		l.errorf(CodeTruncated, "the archive ends in the middle")
	case errors.Is(err, tar.ErrHeader) && l.want.known:
		l.errorf(CodeCorrupt, "it is gzip without a readable tar archive: %v", err)
	default:
		l.errorf(CodeCorrupt, "the archive cannot be read: %v", err)
	}
}

// bounded ends a stream that grows without end.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errUnpacked
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

// archiveLook walks through one archive.
type archiveLook struct {
	*linter
	tar     *tar.Reader
	files   int
	entries int  // findings of entries, so that a bad archive does not fill a screen
	found   bool // the inner path
}

const maxEntryFindings = 10

func (a *archiveLook) walk() error {
	for {
		h, err := a.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.checkEntry(h)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		a.files++
		if err := a.checkFile(h); err != nil {
			return err
		}
	}
}

// checkEntry: agents unpack directories and regular files, and no name with "..".
func (a *archiveLook) checkEntry(h *tar.Header) {
	if a.entries >= maxEntryFindings {
		return
	}
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		a.entries++
		a.errorf(CodeArchiveEntry, "%.200q is %s; agents unpack directories and regular files only", h.Name, typeName(h.Typeflag))
	}
	if strings.Contains(h.Name, "..") {
		a.entries++
		a.errorf(CodeArchivePath, "%.200q has \"..\" in its name; agents refuse the archive", h.Name)
	}
	if strings.HasPrefix(h.Name, "/") {
		a.entries++
		a.errorf(CodeArchivePath, "%.200q is an absolute name", h.Name)
	}
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeFifo:
		return "a FIFO"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeXGlobalHeader:
		return "a global pax header (as git archive makes)"
	}
	return fmt.Sprintf("an entry of type %q", string(flag))
}

// checkFile looks at the headers of what agents start.
func (a *archiveLook) checkFile(h *tar.Header) error {
	name := path.Clean(h.Name)
	if !a.starts(name) {
		return nil
	}
	a.found = true
	if h.Size == 0 {
		a.errorf(CodeEmpty, "%q in the archive has 0 bytes", name)
		return nil
	}
	if h.Mode&0o111 == 0 {
		a.warnf(CodeInnerMode, "%q in the archive has mode %04o and cannot be executed", name, h.Mode&0o7777)
	}
	prefix := make([]byte, min(h.Size, prefixSize))
	if _, err := io.ReadFull(a.tar, prefix); err != nil {
		return err
	}
	f := sniff(prefix)
	switch {
	case f.format == formatScript:
		a.warnf(CodeScript, "%q in the archive is a script; this may be as meant", name)
	case f.format.executable():
		a.checkArch(f, name, h.Size)
	default:
		a.warnf(CodeUnknownFormat, "%q in the archive is not an executable that is known here", name)
	}
	return nil
}

// starts reports whether agents start the file of this name.
func (a *archiveLook) starts(name string) bool {
	inner := a.want.inner
	if inner == "" {
		return false
	}
	if strings.HasSuffix(inner, "/") {
		return strings.HasPrefix(name, inner) && !strings.Contains(name[len(inner):], "/")
	}
	return name == inner
}

// verdict says what the archive lacks as a whole.
func (a *archiveLook) verdict() {
	if a.files == 0 {
		a.errorf(CodeArchiveEmpty, "the archive holds no file")
		return
	}
	if a.want.inner != "" && !a.found {
		a.errorf(CodeInnerPath, "the archive does not hold %q, which agents start", a.want.inner)
	}
}
