package installer

import (
	"io"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2/files"
)

// nfpm holds what it makes in memory, an RPM twice. So files that are large are
// represented by short ones while it does, and put in their place in a stream afterwards.

// largeFile is from where on a file is represented.
const largeFile = 256 << 10

// standIns are the real files, by where they go on the host.
type standIns map[string]string

// standIn replaces large files of a package by a short one.
func (t *tree) standIn(contents files.Contents) (standIns, error) {
	short := filepath.Join(t.dir, "stand-in")
	if err := os.WriteFile(short, []byte("...\n"), 0o600); err != nil {
		return nil, err
	}
	real := standIns{}
	for _, c := range contents {
		if c.Type != files.TypeFile {
			continue
		}
		st, err := os.Stat(c.Source)
		if err != nil {
			return nil, err
		}
		if st.Size() >= largeFile {
			real[c.Destination], c.Source = c.Source, short
		}
	}
	return real, nil
}

// open gives the bytes that go to a place: the real file's, with its size, or those that
// were there.
func (s standIns) open(name string, there io.Reader, size *int64) (io.ReadCloser, error) {
	source, ok := s[name]
	if !ok {
		return io.NopCloser(there), nil
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	*size = st.Size()
	return f, nil
}
