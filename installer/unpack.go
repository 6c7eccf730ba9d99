package installer

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// maxUnpacked bounds what an archive may become.
const maxUnpacked = 4 << 30

// unpack lays down what is in a .tar.gz below a folder, as agents do: folders and regular
// files alone, none of them above it.
func (t *tree) unpack(f *os.File, below string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return err
	}
	r := tar.NewReader(io.LimitReader(z, maxUnpacked))
	found := 0
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("%q leads out of it", h.Name)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			continue
		case tar.TypeReg:
			found++
		default:
			return fmt.Errorf("%q is neither a folder nor a regular file", h.Name)
		}
		if err := t.unpackFile(r, path.Join(below, name), h); err != nil {
			return err
		}
	}
	if found == 0 {
		return errors.New("there is no file in it")
	}
	return nil
}

func (t *tree) unpackFile(r io.Reader, target string, h *tar.Header) error {
	source := t.next()
	f, err := os.OpenFile(source, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		_ = f.Close()
		return err
	}
	mode := os.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	t.file(source, target, mode)
	return f.Close()
}
