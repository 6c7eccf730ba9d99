package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// packageSize is the size of each of two components: 100 MB in all.
const packageSize = 50 << 20

// packageFolder publishes the two components; their bytes do not compress.
func (b *bench) packageFolder() (dir string, err error) {
	if dir, err = b.folder(); err != nil {
		return "", err
	}
	if _, err := measure(b.onOurs(dir, "init")); err != nil {
		return "", err
	}
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, packageSize)
	for _, name := range []string{"orbit", "osqueryd"} {
		_, _ = random.Read(content) // it has no end
		file := filepath.Join(b.dir, "packaged-"+name)
		if err := os.WriteFile(file, content, 0o755); err != nil {
			return "", err
		}
		if _, err := measure(b.onOurs(dir, "add", "--target", file, "--name", name, "--platform", "linux", "--version", "1.0.0", "-t", "stable", "--no-lint", "all")); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// packageCase makes a .deb and an .rpm beside dpkg-deb and rpmbuild on the same tree, with
// the same compression.
func (b *bench) packageCase() error {
	dir, err := b.packageFolder()
	if err != nil {
		return err
	}
	deb, rpm := filepath.Join(dir, "agent.deb"), filepath.Join(dir, "agent.rpm")
	ours := func(kind, file string) func() (sample, error) {
		return func() (sample, error) {
			return measure(b.onOurs(dir, "package", "--type", kind, "--update-url", "https://updates.example.com", "--offline", "--outfile", file))
		}
	}
	if _, err := ours("deb", deb)(); err != nil {
		return err
	}
	tree, top, spec := filepath.Join(b.dir, "packaged"), filepath.Join(b.dir, "rpmbuild"), filepath.Join(b.dir, "agent.spec")
	for _, args := range [][]string{{"-x", deb, tree}, {"-e", deb, filepath.Join(tree, "DEBIAN")}} {
		if out, err := exec.Command("dpkg-deb", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb: %w: %s", err, out)
		}
	}
	text := "Name: fleet-osquery\nVersion: 1.0.0\nRelease: 1\nSummary: x\nLicense: MIT\n%description\nx\n%install\ncp -rl " + tree + "/. %{buildroot}/\nrm -r %{buildroot}/DEBIAN\n%files\n/opt\n/etc/default/orbit\n/usr\n/var\n"
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		return err
	}
	sides, err := inTurn(min(b.pairs(true), 3), ours("deb", deb),
		func() (sample, error) {
			return measure(command{path: "dpkg-deb", args: []string{"--root-owner-group", "-Zgzip", "-z1", "-b", tree, filepath.Join(b.dir, "theirs.deb")}})
		},
		ours("rpm", rpm),
		func() (sample, error) {
			return measure(command{path: "rpmbuild", args: []string{"-bb", "--quiet", "--define", "_topdir " + top, "--define", "_binary_payload w1.gzdio",
				"--define", "__os_install_post %{nil}", "--define", "debug_package %{nil}", "--nodeps", spec}})
		})
	if err != nil {
		return err
	}
	for i, what := range []string{"`package --type deb`, 100 MB of components, verified", "`dpkg-deb -Zgzip -z1 -b` of the same tree", "`package --type rpm`, verified", "`rpmbuild -bb`, gzip 1, of the same tree"} {
		b.add(row{what, nil, sides[i]})
	}
	const most = 256 << 20
	b.aim(sides[0].peak() < most && sides[2].peak() < most, "in less than 256 MB of memory", "%d MB for deb, %d MB for rpm", sides[0].peak()>>20, sides[2].peak()>>20)
	b.aim(ratio(sides[0], sides[1]) < 1.5 && ratio(sides[2], sides[3]) < 1.5, "not slower than half as much again beside dpkg-deb and rpmbuild",
		"%.2f times dpkg-deb's time, %.2f times rpmbuild's", ratio(sides[0], sides[1]), ratio(sides[2], sides[3]))
	return nil
}
