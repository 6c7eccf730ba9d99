package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// fault is one way to break a file.
type fault struct {
	name string
	file string // slash-separated, below the module
	hint string // a test that should notice it, or ""
	old  []byte
	new  []byte
}

// pkg is the package that the fault breaks, as the go command names it.
func (f fault) pkg() string { return "./" + filepath.ToSlash(filepath.Dir(f.file)) }

// read gives every fault below dir, in the order of the files' names. A name stands once.
func read(dir string) ([]fault, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var out []fault
	seen := map[string]bool{}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			return nil, err
		}
		for _, section := range a.Files {
			f, err := parse(section)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", file, err)
			}
			if seen[f.name] {
				return nil, fmt.Errorf("%q: the fault %q stands twice", file, f.name)
			}
			seen[f.name] = true
			out = append(out, f)
		}
	}
	return out, nil
}

func parse(s txtar.File) (fault, error) {
	head := strings.SplitN(s.Name, "|", 3) // the pattern of tests may hold further ones
	if len(head) < 2 {
		return fault{}, fmt.Errorf("%q is not NAME | FILE | TEST", s.Name)
	}
	for i := range head {
		head[i] = strings.TrimSpace(head[i])
	}
	before, after, ok := bytes.Cut(s.Data, []byte("====\n"))
	if !ok {
		return fault{}, fmt.Errorf("%q has no line of ====", s.Name)
	}
	f := fault{name: head[0], file: head[1], old: chomp(before), new: chomp(after)}
	if len(head) == 3 {
		f.hint = head[2]
	}
	return f, nil
}

func chomp(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) }

// plant gives the broken file.
func (f fault) plant(root string) ([]byte, error) {
	src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.file)))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(src, f.old); n != 1 {
		return nil, fmt.Errorf("its text stands %d times in %q, not once", n, f.file)
	}
	broken := bytes.Replace(src, f.old, f.new, 1)
	if _, err := format.Source(broken); err != nil {
		return nil, fmt.Errorf("%q would not be Go: %w", f.file, err)
	}
	return broken, nil
}
