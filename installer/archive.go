package installer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/cavaliergopher/cpio"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// entry is told of each regular file in a package: its absolute path, its bytes.
type entry func(name string, r io.Reader) error

var errForm = errors.New("it is not a .deb, .rpm or .pkg.tar.zst")

// maxControl bounds what a package says of itself, maxContent what it unpacks to.
const (
	maxControl = 8 << 20
	maxContent = 8 << 30
)

// readArchive goes through a package of any of the three types, in a stream.
func readArchive(r io.Reader, each entry) (label, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, _ := b.Peek(8) // what is shorter is none of them
	switch {
	case bytes.Equal(magic, []byte("!<arch>\n")):
		return readDeb(b, each)
	case bytes.HasPrefix(magic, []byte{0xed, 0xab, 0xee, 0xdb}):
		return readRPM(b, each)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return readArch(b, each)
	}
	return label{}, errForm
}

// unpacked takes the compression off, whichever it is; what has none is given as it is.
func unpacked(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, _ := b.Peek(6)
	var out io.Reader = b
	var err error
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		out, err = gzip.NewReader(b)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		out, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		out, err = xz.NewReader(b)
	}
	if err != nil {
		return nil, err
	}
	return io.LimitReader(out, maxContent), nil
}

func readTar(r io.Reader, each entry) error {
	plain, err := unpacked(r)
	if err != nil {
		return err
	}
	t := tar.NewReader(plain)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := each(path.Clean("/"+h.Name), t); err != nil {
			return err
		}
	}
}

// readDeb reads the members of an ar archive: control.tar, then data.tar.
func readDeb(b *bufio.Reader, each entry) (label, error) {
	l := label{kind: Deb}
	err := eachMember(b, func(m arHead, body io.Reader) error {
		switch name := m.name(); {
		case strings.HasPrefix(name, "control.tar"):
			return readTar(body, l.readControl)
		case strings.HasPrefix(name, "data.tar"):
			return readTar(body, each)
		}
		return nil
	})
	if err == nil && l.name == "" {
		err = errForm
	}
	return l, err
}

// arHead is the head of a member of an ar archive.
type arHead [60]byte

func (h arHead) name() string { return strings.TrimRight(strings.TrimSpace(string(h[:16])), "/") }

// size is how long the member is.
func (h arHead) size() (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n, err
}

// eachMember walks an ar archive. What each leaves of a body is passed over.
func eachMember(b *bufio.Reader, each func(head arHead, body io.Reader) error) error {
	if _, err := b.Discard(8); err != nil {
		return err
	}
	for {
		var head arHead
		_, err := io.ReadFull(b, head[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		size, sizeErr := head.size()
		if err = errors.Join(err, sizeErr); err != nil {
			return fmt.Errorf("a member of the archive has no readable head (%w)", err)
		}
		body := io.LimitReader(b, size)
		if err := each(head, body); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if size%2 == 1 {
			_, _ = b.Discard(1) // the last one may go without
		}
	}
}

func (l *label) readControl(name string, r io.Reader) error {
	if name != "/control" {
		return nil
	}
	return l.fields(r, ": ", "Package", "Version", "Architecture")
}

// fields reads lines of "NAME=value".
func (l *label) fields(r io.Reader, between, name, version, arch string) error {
	text, err := io.ReadAll(io.LimitReader(r, maxControl))
	for line := range strings.Lines(string(text)) {
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), between)
		switch strings.TrimSpace(field) {
		case name:
			l.name = strings.TrimSpace(value)
		case version:
			l.version = strings.TrimSpace(value)
		case arch:
			l.arch = strings.TrimSpace(value)
		}
	}
	return err
}

func readArch(b *bufio.Reader, each entry) (label, error) {
	l := label{kind: Arch}
	err := readTar(b, func(name string, r io.Reader) error {
		if name == "/.PKGINFO" {
			return l.fields(r, "=", "pkgname", "pkgver", "arch")
		}
		return each(name, r)
	})
	if err == nil && l.name == "" {
		err = errForm
	}
	return l, err
}

func readCPIO(r io.Reader, each entry) error {
	plain, err := unpacked(r)
	if err != nil {
		return err
	}
	c := cpio.NewReader(plain)
	for {
		h, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !h.Mode.IsRegular() {
			continue
		}
		if err := each(path.Clean("/"+h.Name), c); err != nil {
			return err
		}
	}
}
