package installer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Made is a file that was made.
type Made struct {
	File    string `json:"file"`
	Type    string `json:"type"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
	// Components are those inside.
	Components []Component `json:"components"`

	waits string // where it lies until all are complete
}

// Progress is told how many bytes of content came, of all that are wanted.
type Progress func(done, total int64)

// builder is one run of Build.
type builder struct {
	o          Options
	from       *Repository
	components map[string][]Component
	store      []byte
	work       string // a private folder

	bundle, fleetCert, updateCert, flags []byte

	progress    Progress
	done, total int64
}

// Build makes the files that o asks for from what was read: all of them, or none.
func Build(ctx context.Context, from *Repository, o Options, progress Progress) ([]Made, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	b := &builder{o: o, from: from, components: map[string][]Component{}, progress: progress}
	if err := b.choose(); err != nil {
		return nil, err
	}
	if err := b.readFiles(); err != nil {
		return nil, err
	}
	var err error
	if b.store, err = Store(from.report.Documents); err != nil {
		return nil, err
	}
	if b.work, err = os.MkdirTemp("", "fleet-hsm-package-"); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(b.work) }()
	return b.build(ctx)
}

// choose finds every component of every processor before any byte is brought.
func (b *builder) choose() error {
	for _, arch := range b.o.Arches {
		for _, c := range b.o.components(arch) {
			c, err := find(b.from.targets, c)
			if err != nil {
				return err
			}
			b.components[arch] = append(b.components[arch], c)
			b.total += c.named.Length
		}
		orbit := b.components[arch][0]
		if b.o.Version == "" && !packageVersion().MatchString(orbit.Version) {
			return wrong("--version", "is missing, and orbit's %q cannot be a package's: it begins with no digit, or has other characters than letters, digits and .+~-", orbit.Version)
		}
	}
	return nil
}

func (b *builder) build(ctx context.Context) ([]Made, error) {
	var all []Made
	defer func() {
		for _, m := range all {
			_ = os.Remove(m.waits) // nothing if it was moved
		}
	}()
	for _, arch := range b.o.Arches {
		l, err := b.layDown(ctx, arch)
		if err != nil {
			return nil, err
		}
		for _, kind := range b.o.Types {
			m, err := b.pack(ctx, kind, arch, l)
			if m.waits != "" {
				all = append(all, m)
			}
			if err != nil {
				return nil, err
			}
		}
		if err := os.RemoveAll(l.dir); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range all {
		if err := os.Rename(all[i].waits, all[i].File); err != nil {
			for _, m := range all[:i] {
				_ = os.Remove(m.File)
			}
			return nil, err
		}
	}
	return all, nil
}

// version is the package's, in the spelling of a type.
func (b *builder) version(kind string, l *laid) string {
	v := b.o.Version
	if v == "" {
		v = l.components[0].Version
	}
	// A hyphen begins a release number in all three; what it usually means is older than
	// the version without.
	if kind == Arch {
		return strings.NewReplacer("-", "", "~", "").Replace(v)
	}
	return strings.ReplaceAll(v, "-", "~")
}

// pack writes one file beside where it will be.
func (b *builder) pack(ctx context.Context, kind, arch string, l *laid) (Made, error) {
	m := Made{Type: kind, Arch: arch, Version: b.version(kind, l), Components: l.components}
	p, err := b.packOf(kind, arch, l)
	if err != nil {
		return m, err
	}
	m.File = b.o.Outfile
	if m.File == "" {
		m.File = p.fileName()
	}
	f, err := os.CreateTemp(filepath.Dir(m.File), ".fleet-hsm-package-*")
	if err != nil {
		return m, wrong("--outfile", "%q cannot be written: %v", m.File, err)
	}
	m.waits = f.Name()
	sum := &summed{w: f, hash: sha256.New(), ctx: ctx}
	err = p.write(sum)
	if err == nil {
		// It may hold a secret; whoever may read it is for its owner to say.
		err = f.Chmod(b.mode())
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return m, fmt.Errorf("making %q: %w", m.File, err)
	}
	m.Bytes, m.SHA256 = sum.n, hex.EncodeToString(sum.hash.Sum(nil))
	return m, nil
}

// mode: a package without a secret is for everybody.
func (b *builder) mode() os.FileMode {
	if b.o.EnrollSecret != "" {
		return 0o600
	}
	return 0o644
}

// summed counts and hashes what is written; it stops when ctx does.
type summed struct {
	w    io.Writer
	hash hash.Hash
	n    int64
	ctx  context.Context
}

func (s *summed) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	s.n += int64(n)
	_, _ = s.hash.Write(p[:n]) // a hash takes everything
	return n, err
}

// counted tells of bytes on their way.
type counted struct {
	w io.Writer
	b *builder
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.b.done += int64(n)
	if c.b.progress != nil {
		c.b.progress(c.b.done, c.b.total)
	}
	return n, err
}
