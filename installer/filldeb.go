package installer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// fillDeb writes a .deb that was made of stand-ins with the real files in their place.
// Only what dpkg needs to know beforehand changes with them: sizes and digests.
func fillDeb(made io.Reader, real standIns, spare *os.File, to io.Writer) error {
	b := bufio.NewReader(made)
	members, err := arMembers(b)
	if err != nil {
		return err
	}
	control, data := members["control.tar.gz"], members["data.tar.gz"]
	if control == nil || data == nil {
		return errForm
	}
	sums, grown, err := fillData(bytes.NewReader(data.body), real, spare)
	if err != nil {
		return err
	}
	filled, err := fillControl(control.body, sums, grown)
	if err != nil {
		return err
	}
	size, err := spare.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := spare.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w := &arWriter{w: to}
	w.magic()
	w.member(members["debian-binary"].head, 4, bytes.NewReader(members["debian-binary"].body))
	w.member(control.head, int64(len(filled)), bytes.NewReader(filled))
	w.member(data.head, size, spare)
	return w.err
}

// arMember is a small member of an ar archive, with its head.
type arMember struct {
	head arHead
	body []byte
}

func arMembers(b *bufio.Reader) (map[string]*arMember, error) {
	all := map[string]*arMember{}
	err := eachMember(b, func(head arHead, body io.Reader) error {
		data, err := io.ReadAll(body)
		if size, _ := head.size(); err == nil && int64(len(data)) < size {
			err = io.ErrUnexpectedEOF
		}
		all[head.name()] = &arMember{head, data}
		return err
	})
	return all, err
}

// arWriter writes an ar archive; the first error stays.
type arWriter struct {
	w   io.Writer
	err error
}

func (a *arWriter) write(r io.Reader) {
	if a.err == nil {
		_, a.err = io.Copy(a.w, r)
	}
}

func (a *arWriter) magic() { a.write(strings.NewReader("!<arch>\n")) }

func (a *arWriter) member(head arHead, size int64, body io.Reader) {
	copy(head[48:58], fmt.Sprintf("%-10d", size))
	a.write(bytes.NewReader(head[:]))
	a.write(body)
	if size%2 == 1 {
		a.write(strings.NewReader("\n"))
	}
}

// fillData writes data.tar.gz with the real files to spare, and gives their MD5 by name
// and by how many bytes they are longer.
func fillData(made io.Reader, real standIns, spare *os.File) (map[string]string, int64, error) {
	plain, err := gzip.NewReader(made)
	if err != nil {
		return nil, 0, err
	}
	z, err := gzip.NewWriterLevel(spare, gzip.BestSpeed)
	if err != nil {
		return nil, 0, err
	}
	in, out := tar.NewReader(plain), tar.NewWriter(z)
	sums, grown := map[string]string{}, int64(0)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		name := path.Clean("/" + h.Name)
		was := h.Size
		body, err := real.open(name, in, &h.Size)
		if err != nil {
			return nil, 0, err
		}
		h.Format = tar.FormatGNU
		if err := out.WriteHeader(h); err != nil {
			return nil, 0, err
		}
		sum := md5.New()
		_, err = io.Copy(io.MultiWriter(out, sum), body)
		_ = body.Close()
		if err != nil {
			return nil, 0, err
		}
		if h.Size != was {
			sums[strings.TrimPrefix(name, "/")] = hex.EncodeToString(sum.Sum(nil))
			grown += h.Size - was
		}
	}
	if err := out.Close(); err != nil {
		return nil, 0, err
	}
	return sums, grown, z.Close()
}

var installedSize = regexp.MustCompile(`(?m)^Installed-Size: (\d+)$`)

// fillControl puts digests and the size of the real files into control.tar.gz.
func fillControl(made []byte, sums map[string]string, grown int64) ([]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(made))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	in, out := tar.NewReader(plain), tar.NewWriter(z)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(in, maxControl))
		if err != nil {
			return nil, err
		}
		switch path.Clean("/" + h.Name) {
		case "/control":
			data = installedSize.ReplaceAllFunc(data, func(line []byte) []byte {
				kb, _ := strconv.ParseInt(string(installedSize.FindSubmatch(line)[1]), 10, 64) // digits alone
				return fmt.Appendf(nil, "Installed-Size: %d", kb+grown/1024)
			})
		case "/md5sums":
			data = fillSums(data, sums)
		}
		h.Size = int64(len(data))
		if err := out.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := out.Write(data); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

func fillSums(text []byte, sums map[string]string) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimRight(line, "\n"), "  ")
		if real, ok := sums[strings.TrimPrefix(path.Clean("/"+name), "/")]; ok {
			sum = real
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
	}
	return b.Bytes()
}
