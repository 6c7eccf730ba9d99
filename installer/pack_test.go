//go:build linux

package installer

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// anAgent is a tree with each kind of item, a large file and names that lists must quote.
func anAgent(t *testing.T) *laid {
	t.Helper()
	l := &laid{tree: tree{dir: t.TempDir()}, components: []Component{{Version: "1.2.3-rc1"}}}
	l.folder("/opt/orbit")
	l.link("/usr/local/bin/orbit", "/opt/orbit/orbit")
	for name, data := range map[string]string{
		"/opt/orbit/orbit": strings.Repeat("x", largeFile), "/opt/orbit/with blank#x": "y\n", environmentFile: "A=b\n",
	} {
		if err := l.text(name, 0o640, []byte(data)); err != nil {
			t.Fatal(err)
		}
		l.last().kept = name == environmentFile
	}
	return l
}

func packed(t *testing.T, kind string, l *laid) string {
	t.Helper()
	b := &builder{o: Options{Built: time.Unix(1700000000, 0)}}
	p, err := b.packOf(kind, "amd64", l)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.write(&out); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), p.fileName())
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func holds(t *testing.T, about, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line) {
			t.Errorf("%s has no line %q:\n%s", about, line, text)
		}
	}
}

// TestDeb: dpkg reads what was written, and its digests are those of the files.
func TestDeb(t *testing.T) {
	t.Parallel()
	deb := packed(t, Deb, anAgent(t))
	if filepath.Base(deb) != "fleet-osquery_1.2.3~rc1_amd64.deb" {
		t.Errorf("it is called %q", filepath.Base(deb))
	}
	holds(t, "the control file", output(t, "dpkg-deb", "-f", deb), "Version: 1.2.3~rc1\n", "Architecture: amd64\n", "Installed-Size: 256\n", "Homepage: ", "Description: Fleet's agent", " The agent keeps")
	holds(t, "the content", output(t, "dpkg-deb", "-c", deb),
		"drwxr-xr-x root/root         0 2023-11-14 22:13 ./usr/local/\n",
		"lrwxrwxrwx root/root         0 2023-11-14 22:13 ./usr/local/bin/orbit -> /opt/orbit/orbit\n",
		"-rw-r----- root/root    262144 2023-11-14 22:13 ./opt/orbit/orbit\n")
	root, control := t.TempDir(), t.TempDir()
	output(t, "dpkg-deb", "-x", deb, root)
	output(t, "dpkg-deb", "-e", deb, control)
	check := exec.Command("md5sum", "--strict", "-c", filepath.Join(control, "md5sums"))
	check.Dir = root
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 3 {
		t.Errorf("md5sums: %v\n%s", err, out)
	}
	for name, want := range map[string]string{"conffiles": environmentFile + "\n", "postinst": scriptsOf(Deb).postInstall, "postrm": scriptsOf(Deb).postRemove, "prerm": scriptsOf(Deb).preRemove} {
		if got, err := os.ReadFile(filepath.Join(control, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v)", name, got, err)
		}
	}
}

// TestRPM: rpm reads what was written, with the large file in its place.
func TestRPM(t *testing.T) {
	t.Parallel()
	rpm := packed(t, RPM, anAgent(t))
	if filepath.Base(rpm) != "fleet-osquery-1.2.3~rc1-1.x86_64.rpm" {
		t.Errorf("it is called %q", filepath.Base(rpm))
	}
	holds(t, "rpm -K", output(t, "rpm", "-K", rpm), rpm+": digests OK")
	sum, _, _ := strings.Cut(output(t, "sh", "-c", "head -c 262144 /dev/zero | tr '\\0' x | sha256sum"), " ")
	none := strings.Repeat("0", 64)
	holds(t, "rpm --dump", output(t, "rpm", "-qp", "--dump", rpm),
		"/opt/orbit/orbit 262144 1700000000 "+sum+" 0100640 root root 0 0 1 X\n",
		"/etc/default/orbit 4 1700000000 ", "/opt/orbit 4096 1700000000 "+none+" 040755 root root 0 0 1 X\n",
		"/usr/local/bin/orbit 16 1700000000 "+none+" 0120000 root root 0 0 1 /opt/orbit/orbit\n")
	if got := output(t, "rpm", "-qpc", rpm); got != environmentFile+"\n" {
		t.Errorf("its configuration is %q", got)
	}
	s := output(t, "rpm", "-qp", "--scripts", rpm)
	for _, script := range []string{"postinstall", "preuninstall", "postuninstall", "posttrans"} {
		holds(t, "rpm --scripts", s, script+" scriptlet")
	}
}

// TestArchPackage: bsdtar reads what was written, and finds each file as .MTREE says.
func TestArchPackage(t *testing.T) {
	t.Parallel()
	file := packed(t, Arch, anAgent(t))
	if filepath.Base(file) != "fleet-osquery-1.2.3rc1-1-x86_64.pkg.tar.zst" {
		t.Errorf("it is called %q", filepath.Base(file))
	}
	root := t.TempDir()
	output(t, "tar", "--zstd", "-xf", file, "-C", root)
	holds(t, ".PKGINFO", output(t, "cat", filepath.Join(root, ".PKGINFO")), "pkgver = 1.2.3rc1-1\n", "size = 262150\n", "backup = etc/default/orbit\n", "arch = x86_64\n")
	tree := output(t, "sh", "-c", `gzip -dc "$1"`, "sh", filepath.Join(root, ".MTREE"))
	holds(t, ".MTREE", tree, "#mtree\n", "./.PKGINFO ", "./opt/orbit time=1700000000.0 mode=755 type=dir\n",
		`./opt/orbit/with\040blank\043x time=1700000000.0 mode=640 size=2 type=file `, "./usr/local/bin/orbit time=1700000000.0 mode=777 type=link link=/opt/orbit/orbit\n")
	for _, f := range []string{".PKGINFO", "opt/orbit/orbit", environmentFile[1:]} {
		sum, _, _ := strings.Cut(output(t, "sha256sum", filepath.Join(root, f)), " ")
		if !strings.Contains(tree, "sha256digest="+sum+"\n") {
			t.Errorf(".MTREE does not know %q:\n%s", f, tree)
		}
	}
	output(t, "bash", "-n", filepath.Join(root, ".INSTALL"))
	holds(t, ".INSTALL", output(t, "cat", filepath.Join(root, ".INSTALL")), "function post_install() {\n", "function post_upgrade() {\n", "function pre_remove() {\n", "function post_remove() {\n")
}

// TestItemsFit: what cannot lie side by side is refused before anything is written.
func TestItemsFit(t *testing.T) {
	t.Parallel()
	for about, spoil := range map[string]func(l *laid){
		"twice":                  func(l *laid) { l.folder(environmentFile) },
		"below a file":           func(l *laid) { l.folder("/opt/orbit/orbit/x/y") },
		"below a link":           func(l *laid) { l.link("/usr/local/bin/orbit/x", "/") },
		"a name of two lines":    func(l *laid) { l.folder("/opt/orbit/a\nb") },
		"a name with an escape":  func(l *laid) { l.link("/opt/orbit/a\x1bb", "/") },
		"twice for one type too": func(l *laid) { l.folder(environmentFile); l.last().only = RPM },
	} {
		l := anAgent(t)
		spoil(l)
		b := &builder{o: Options{Built: time.Unix(1700000000, 0)}}
		if p, err := b.packOf(RPM, "arm64", l); err == nil {
			t.Errorf("%s: %v", about, p.items)
		}
	}
	l := anAgent(t)
	l.folder(environmentFile)
	l.last().only = RPM
	if _, err := (&builder{}).packOf(Deb, "amd64", l); err != nil {
		t.Errorf("what is for another type counts: %v", err)
	}
}

// TestSameBytes: two runs differ in nothing.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	for _, kind := range Types() {
		var was []byte
		for range 2 {
			data, err := os.ReadFile(packed(t, kind, anAgent(t)))
			if err != nil || was != nil && !bytes.Equal(was, data) {
				t.Errorf("%s: other bytes the second time (%v)", kind, err)
			}
			was = data
		}
	}
}

// TestParents come before what is in them, once.
func TestParents(t *testing.T) {
	t.Parallel()
	items, err := anAgent(t).of(Deb)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"/": true}
	for _, i := range withParents(items) {
		parent := i.name[:strings.LastIndex(i.name, "/")+1]
		if parent != "/" {
			parent = strings.TrimSuffix(parent, "/")
		}
		if seen[i.name] || !seen[parent] {
			t.Errorf("%q comes twice or before %q", i.name, parent)
		}
		seen[i.name] = true
	}
	var out bytes.Buffer
	if _, err := (item{form: aLink, name: "/a", from: "/b", mode: 0o777}).writeTar(tar.NewWriter(&out), "./a", time.Time{}, tar.FormatGNU, nil); err != nil {
		t.Fatal(err)
	}
}
