package installer

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
)

// item is one thing that a package lays down, of root.
type item struct {
	form form
	// name is the absolute path on the host.
	name string
	// from is the file that holds the bytes; for a link, where it points.
	from string
	mode os.FileMode
	// kept: what the host's administrator changed in it stays at an upgrade.
	kept bool
	// only is the one type that it is for, "" for all.
	only string
}

type form int

const (
	aFile form = iota
	aFolder
	aLink
)

// of are the items of a type, sorted by name. None stands where another one is or leads
// through another one that is no folder, and dpkg's lists can hold each name.
func (t *tree) of(kind string) ([]item, error) {
	var mine []item
	forms := map[string]form{}
	for _, i := range t.items {
		if i.only != "" && i.only != kind {
			continue
		}
		if _, twice := forms[i.name]; twice {
			return nil, fmt.Errorf("%q would be laid down twice", i.name)
		}
		if strings.ContainsFunc(i.name, unicode.IsControl) {
			return nil, fmt.Errorf("the name %q holds a control character", i.name)
		}
		mine, forms[i.name] = append(mine, i), i.form
	}
	for _, i := range mine {
		for parent := path.Dir(i.name); parent != "/"; parent = path.Dir(parent) {
			if f, ok := forms[parent]; ok && f != aFolder {
				return nil, fmt.Errorf("%q would lie below %q, which is no folder", i.name, parent)
			}
		}
	}
	slices.SortFunc(mine, func(a, b item) int { return strings.Compare(a.name, b.name) })
	return mine, nil
}

// withParents adds the folders that lead to items, each before what is in it.
func withParents(items []item) []item {
	var all []item
	there := map[string]bool{"/": true}
	var add func(i item)
	add = func(i item) {
		if parent := path.Dir(i.name); !there[parent] {
			add(item{form: aFolder, name: parent, mode: 0o755})
		}
		if !there[i.name] {
			there[i.name] = true
			all = append(all, i)
		}
	}
	for _, i := range items {
		add(i)
	}
	return all
}

// writeTar writes an item under a name, and gives how many bytes it holds. What it holds goes
// to also, too.
func (i item) writeTar(out *tar.Writer, name string, built time.Time, format tar.Format, also io.Writer) (int64, error) {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(i.mode.Perm()), ModTime: built, Uname: "root", Gname: "root", Format: format}
	switch i.form {
	case aFolder:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return 0, out.WriteHeader(h)
	case aLink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, i.from
		return 0, out.WriteHeader(h)
	}
	f, size, err := i.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	h.Size = size
	if err := out.WriteHeader(h); err != nil {
		return 0, err
	}
	return io.Copy(io.MultiWriter(out, also), f)
}

// open gives what a file holds and its size.
func (i item) open() (*os.File, int64, error) {
	f, err := os.Open(i.from)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}
