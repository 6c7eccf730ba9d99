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

// label is what a package says of itself.
type label struct{ kind, name, version, arch string }

// entry is told of each regular file in a package: its absolute path, its bytes.
type entry func(name string, r io.Reader) error

var errForm = errors.New("it is no .deb, .rpm or .pkg.tar.zst")

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
	if _, err := b.Discard(8); err != nil {
		return l, err
	}
	for {
		var head [60]byte
		_, err := io.ReadFull(b, head[:])
		if errors.Is(err, io.EOF) {
			break
		}
		size, sizeErr := strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
		if err = errors.Join(err, sizeErr); err != nil || size < 0 {
			return l, fmt.Errorf("a member of the archive has no readable head (%w)", err)
		}
		member := io.LimitReader(b, size)
		switch name := strings.TrimSpace(string(head[:16])); {
		case strings.HasPrefix(name, "control.tar"):
			err = readTar(member, l.readControl)
		case strings.HasPrefix(name, "data.tar"):
			err = readTar(member, each)
		}
		if err != nil {
			return l, err
		}
		if _, err := io.Copy(io.Discard, member); err != nil {
			return l, err
		}
		if size%2 == 1 {
			_, _ = b.Discard(1) // the last one may go without
		}
	}
	if l.name == "" {
		return l, errForm
	}
	return l, nil
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
