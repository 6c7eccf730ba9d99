package installer

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// tree is what a package lays down; its bytes wait in a folder.
type tree struct {
	dir   string
	items []item
	n     int
}

// next names a file of the folder.
func (t *tree) next() string {
	t.n++
	return filepath.Join(t.dir, strconv.Itoa(t.n))
}

func (t *tree) folder(name string) {
	t.items = append(t.items, item{form: aFolder, name: name, mode: 0o755})
}

func (t *tree) link(name, points string) {
	t.items = append(t.items, item{form: aLink, name: name, from: points, mode: 0o777})
}

func (t *tree) file(from, name string, mode os.FileMode) {
	t.items = append(t.items, item{name: name, from: from, mode: mode})
}

func (t *tree) last() *item { return &t.items[len(t.items)-1] }

// text lays down what is made here.
func (t *tree) text(target string, mode os.FileMode, data []byte) error {
	source := t.next()
	if err := os.WriteFile(source, data, 0o600); err != nil {
		return err
	}
	t.file(source, target, mode)
	return nil
}

// laid is one processor's tree and the components in it.
type laid struct {
	tree
	components []Component
}

// layDown makes the tree for a processor. metered is told of bytes that came.
func (b *builder) layDown(ctx context.Context, arch string) (*laid, error) {
	dir := filepath.Join(b.work, arch)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	l := &laid{tree: tree{dir: dir}, components: b.components[arch]}
	for _, d := range []string{"/opt/orbit", "/var/log/orbit", "/var/log/osquery"} {
		l.folder(d)
	}
	for _, c := range l.components {
		if err := b.layComponent(ctx, l, c); err != nil {
			return nil, err
		}
	}
	orbit := path.Join("/opt/orbit/bin", l.components[0].path())
	l.link("/opt/orbit/bin/orbit/orbit", orbit)
	l.link("/usr/local/bin/orbit", "/opt/orbit/bin/orbit/orbit")
	return l, b.laySettings(l)
}

func (b *builder) layComponent(ctx context.Context, l *laid, c Component) error {
	source := l.next()
	f, err := os.OpenFile(source, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := b.from.report.Bring(ctx, b.from.from, c.path(), &counted{f, b}); err != nil {
		return err
	}
	target := path.Join("/opt/orbit/bin", c.path())
	l.file(source, target, 0o755)
	if c.Name != "desktop" {
		return nil
	}
	if err := l.unpack(f, path.Dir(target)); err != nil {
		return &Error{Kind: Archive, About: fmt.Sprintf("target %q", c.path()), Text: "cannot be unpacked, and agents could not either", Err: err}
	}
	return nil
}

// laySettings lays down everything that is no target.
func (b *builder) laySettings(l *laid) error {
	for _, f := range []struct {
		target string
		mode   os.FileMode
		data   []byte
	}{
		{"/opt/orbit/" + storeName, 0o600, b.store},
		{"/opt/orbit/" + oldStoreName, 0o600, b.store},
		{"/opt/orbit/osquery.flags", 0o600, b.flags},
		{"/opt/orbit/certs.pem", 0o644, b.bundle},
		{"/opt/orbit/fleet.pem", 0o600, b.fleetCert},
		{"/opt/orbit/update.pem", 0o600, b.updateCert},
		{"/usr/lib/systemd/system/orbit.service", 0o644, []byte(unit())},
		{environmentFile, 0o600, []byte(b.o.environment())},
	} {
		if f.data == nil {
			continue
		}
		if err := l.text(f.target, f.mode, f.data); err != nil {
			return err
		}
	}
	l.last().kept = true
	return b.layPapers(l)
}

// layPapers lays down what only Debian asks for.
func (b *builder) layPapers(l *laid) error {
	log, err := gzipped(changelog(b.version(Deb, l), b.o.Built))
	if err != nil {
		return err
	}
	doc := "/usr/share/doc/" + packageName
	for target, data := range map[string][]byte{
		doc + "/changelog.gz": log, doc + "/copyright": []byte(copyright), "/usr/share/lintian/overrides/" + packageName: []byte(overrides),
	} {
		if err := l.text(target, 0o644, data); err != nil {
			return err
		}
		l.last().only = Deb
	}
	return nil
}
