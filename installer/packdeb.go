package installer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// writeDeb writes a .deb (deb(5)): control.tar.gz, which says how large data.tar.gz becomes and
// what is in it, and data.tar.gz, which waits in spare meanwhile.
func (p *pack) writeDeb(spare *os.File, to io.Writer) error {
	sums, installed, err := p.writeData(spare)
	if err != nil {
		return err
	}
	control, err := p.control(sums, installed)
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
	w := &arWriter{w: to, built: p.built}
	w.write(strings.NewReader("!<arch>\n"))
	w.member("debian-binary", 4, strings.NewReader("2.0\n"))
	w.member("control.tar.gz", int64(len(control)), bytes.NewReader(control))
	w.member("data.tar.gz", size, spare)
	return w.err
}

// writeData writes data.tar.gz, and gives the lines of md5sums and the bytes of the files.
func (p *pack) writeData(to io.Writer) (sums []byte, installed int64, err error) {
	// Agents replace their files; what compresses fast is what builds in a second.
	z, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return nil, 0, err
	}
	out := tar.NewWriter(z)
	for _, i := range withParents(p.items) {
		sum := md5.New()
		n, err := i.writeTar(out, "."+i.name, p.built, tar.FormatGNU, sum)
		if err != nil {
			return nil, 0, err
		}
		installed += n
		if i.form == aFile {
			sums = fmt.Appendf(sums, "%x  %s\n", sum.Sum(nil), i.name[1:])
		}
	}
	if err := out.Close(); err != nil {
		return nil, 0, err
	}
	return sums, installed, z.Close()
}

// control makes control.tar.gz.
func (p *pack) control(sums []byte, installed int64) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	out := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		mode int64
		data []byte
	}{
		{"control", 0o644, p.fields(installed)},
		{"md5sums", 0o644, sums},
		{"conffiles", 0o644, p.conffiles()},
		{"postinst", 0o755, []byte(p.scripts.postInstall)},
		{"postrm", 0o755, []byte(p.scripts.postRemove)},
		{"prerm", 0o755, []byte(p.scripts.preRemove)},
	} {
		if len(f.data) == 0 {
			continue
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: p.built, Format: tar.FormatGNU}
		if err := out.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := out.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

// fields are the package's (Debian Policy 5.3).
func (p *pack) fields(installed int64) []byte {
	first, details := summary()
	return fmt.Appendf(nil, "Package: %s\nVersion: %s\nSection: admin\nPriority: optional\nArchitecture: %s\nMaintainer: %s\nInstalled-Size: %d\nHomepage: %s\nDescription: %s\n %s\n",
		p.name, p.version, p.arch, maintainer, installed/1024, homepage, first, strings.Join(details, "\n "))
}

func (p *pack) conffiles() []byte {
	var b []byte
	for _, i := range p.items {
		if i.kept {
			b = append(b, i.name+"\n"...)
		}
	}
	return b
}

// arWriter writes an ar archive; the first error stays.
type arWriter struct {
	w     io.Writer
	built time.Time
	err   error
}

func (a *arWriter) write(r io.Reader) {
	if a.err == nil {
		_, a.err = io.Copy(a.w, r)
	}
}

func (a *arWriter) member(name string, size int64, body io.Reader) {
	a.write(strings.NewReader(fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, a.built.Unix(), 0, 0, "100644", size)))
	a.write(body)
	if size%2 == 1 {
		a.write(strings.NewReader("\n"))
	}
}
