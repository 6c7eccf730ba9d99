package installer

import (
	"io"
	"os"
	"strings"
	"time"
)

// label is what a package says of itself.
type label struct{ kind, name, version, arch string }

// pack is one package that is being written.
type pack struct {
	label
	items   []item
	scripts scripts
	built   time.Time
	dir     string
}

// packOf is the package of a type, with the names that its world has for a processor.
func (b *builder) packOf(kind, processor string, l *laid) (*pack, error) {
	items, err := l.of(kind)
	if err != nil {
		return nil, &Error{Kind: Archive, About: "what the package would hold", Text: "fits no file system", Err: err}
	}
	p := &pack{label{kind, packageName, b.version(kind, l), processor}, items, scriptsOf(kind), b.o.Built, l.dir}
	if kind != Deb {
		p.arch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[processor]
	}
	return p, nil
}

// fileName is how packages of the type are called.
func (p *pack) fileName() string {
	switch p.kind {
	case Deb:
		return p.name + "_" + p.version + "_" + p.arch + ".deb"
	case RPM:
		return p.name + "-" + p.version + "-1." + p.arch + ".rpm"
	}
	return p.name + "-" + p.version + "-1-" + p.arch + ".pkg.tar.zst"
}

// write makes the package. pacman's is made in a stream; the others say in front what comes
// behind, so the content waits in a file.
func (p *pack) write(to io.Writer) error {
	if p.kind == Arch {
		return p.writeArch(to)
	}
	spare, err := os.CreateTemp(p.dir, "spare-")
	if err != nil {
		return err
	}
	defer func() { _, _ = spare.Close(), os.Remove(spare.Name()) }()
	if p.kind == Deb {
		return p.writeDeb(spare, to)
	}
	return p.writeRPM(spare, to)
}

// summary is the first line of the description, details the others.
func summary() (first string, details []string) {
	lines := strings.Split(description, "\n")
	return lines[0], lines[1:]
}
