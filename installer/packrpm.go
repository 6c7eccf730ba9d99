package installer

import (
	"bytes"
	"io"
	"os"

	"github.com/google/rpmpack"
)

// rpmpack holds what it packs in memory, twice. So files that are large are represented by
// short ones while it does, and put in their place in a stream afterwards (fillrpm.go).

// largeFile is from where on a file is represented, by standIn.
const largeFile = 256 << 10

const standIn = "...\n"

// What rpmpack takes as the type of a file stands in its mode, as stat(2) has it.
const rpmFolder, rpmLink = 0o040000, 0o120000

// writeRPM writes an .rpm; its payload waits in spare.
func (p *pack) writeRPM(spare *os.File, to io.Writer) error {
	first, _ := summary()
	r, err := rpmpack.NewRPM(rpmpack.RPMMetaData{
		Name: p.name, Version: p.version, Release: "1", Epoch: rpmpack.NoEpoch, Arch: p.arch, OS: "linux",
		Summary: first, Description: description, Licence: "MIT", URL: homepage, Packager: maintainer,
		Group: "System/Management", BuildHost: "localhost", BuildTime: p.built, Compressor: "gzip:1",
	})
	if err != nil {
		return err
	}
	large := standIns{}
	for _, i := range p.items {
		f, err := i.rpmFile(large)
		if err != nil {
			return err
		}
		f.MTime = uint32(p.built.Unix())
		r.AddFile(f)
	}
	r.AddPostin(p.scripts.postInstall)
	r.AddPreun(p.scripts.preRemove)
	r.AddPostun(p.scripts.postRemove)
	r.AddPosttrans(p.scripts.postTrans)
	var made bytes.Buffer
	if err := r.Write(&made); err != nil {
		return err
	}
	return fillRPM(&made, large, spare, to)
}

// rpmFile is an item as rpmpack takes it. A large one is noted, and represented.
func (i item) rpmFile(large standIns) (rpmpack.RPMFile, error) {
	r := rpmpack.RPMFile{Name: i.name, Mode: uint(i.mode.Perm()), Owner: "root", Group: "root"}
	switch {
	case i.form == aFolder:
		r.Mode |= rpmFolder
		return r, nil
	case i.form == aLink:
		r.Mode, r.Body = rpmLink, []byte(i.from)
		return r, nil
	case i.kept:
		r.Type = rpmpack.ConfigFile | rpmpack.NoReplaceFile
	}
	f, size, err := i.open()
	if err != nil {
		return r, err
	}
	defer func() { _ = f.Close() }()
	if size >= largeFile {
		large[i.name] = i
		r.Body = []byte(standIn)
		return r, nil
	}
	r.Body, err = io.ReadAll(f)
	return r, err
}

// standIns are the files that are represented, by name.
type standIns map[string]item

// open gives the bytes of a name: the real file's, with its size, or those that were there.
func (s standIns) open(name string, there io.Reader, size *int64) (io.ReadCloser, error) {
	i, ok := s[name]
	if !ok {
		return io.NopCloser(there), nil
	}
	f, n, err := i.open()
	*size = n
	return f, err
}
