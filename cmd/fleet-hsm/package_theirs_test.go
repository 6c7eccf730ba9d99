//go:build cgo && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// theirs is the tree of an installer as fleetctl lays it down: the store is written by the
// agent's own client, the rest by hand.
func (h *estateOfHosts) theirs(t *testing.T, stores ...string) string {
	t.Helper()
	root, cold := t.TempDir(), t.TempDir()
	h.client(cold, "--root", filepath.Join(h.dir, "repository", "1.root.json"), "install", "orbit", "linux", "stable")
	for _, dir := range []string{"opt/orbit/bin/orbit/linux/stable", "etc/default"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	move := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(cold, "opt/orbit", from))
		if err == nil {
			err = os.WriteFile(filepath.Join(root, "opt/orbit", to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	move("bin/orbit/linux/stable/orbit", "bin/orbit/linux/stable/orbit")
	for _, name := range stores {
		move("updates-metadata.json", name)
	}
	env := "ORBIT_UPDATE_URL=" + h.url + "\nORBIT_ORBIT_CHANNEL=stable\nORBIT_OSQUERYD_CHANNEL=stable\nORBIT_UPDATE_INTERVAL=15m0s\nORBIT_FLEET_URL=https://fleet.example.com\nORBIT_ENROLL_SECRET=correct-horse-enroll\n"
	if err := os.WriteFile(filepath.Join(root, "etc/default/orbit"), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// make runs a script in a folder of its own beside the tree $ROOT, and gives the path of
// what it made.
func makeTheirs(t *testing.T, root, script, file string) string {
	t.Helper()
	cmd := exec.Command("bash", "-ec", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "ROOT="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(cmd.Dir, file)
}

const debOf = `mkdir "$ROOT/DEBIAN"
printf 'Package: fleet-osquery\nVersion: 1.2.3\nArchitecture: amd64\nMaintainer: x <x@example.com>\nDescription: x\n' >"$ROOT/DEBIAN/control"
dpkg-deb --root-owner-group `

const rpmOf = `printf 'Name: fleet-osquery\nVersion: 1.2.3\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%%description\nx\n%%install\ncp -r "$ROOT/." %%{buildroot}/\n%%files\n/opt/orbit\n/etc/default/orbit\n' >x.spec
rpmbuild -bb --define "_topdir $PWD" --define "_rpmdir $PWD" --define '_rpmfilename x.rpm' `

const archOf = `printf 'pkgname = fleet-osquery\npkgver = 1.2.3-1\narch = x86_64\n' >"$ROOT/.PKGINFO"
tar --zstd -cf x.pkg.tar.zst -C "$ROOT" .PKGINFO opt etc`

// TestInspectTheirs: installers that another tool made, in every compression.
func TestInspectTheirs(t *testing.T) {
	t.Parallel()
	h := newHosts(t, "consistent")
	both := []string{"updates-metadata.json", "tuf-metadata.json"}
	cases := map[string]struct {
		stores       []string
		script, file string
		code         int
		says         []string
	}{
		"deb, gzip":            {both, debOf + `-Zgzip -b "$ROOT" x.deb`, "x.deb", 0, []string{"leads from root v1 to v2", "an enroll secret is inside", "channel    orbit stable", "inside     orbit 1.2.3"}},
		"deb, xz":              {both, debOf + `-Zxz -z1 -b "$ROOT" x.deb`, "x.deb", 0, []string{"leads from root v1 to v2"}},
		"deb, zstd":            {both, debOf + `-Zzstd -b "$ROOT" x.deb`, "x.deb", 0, []string{"leads from root v1 to v2"}},
		"deb, none":            {both, debOf + `-Znone -b "$ROOT" x.deb`, "x.deb", 0, []string{"leads from root v1 to v2"}},
		"rpm, gzip":            {both, rpmOf + `--define '_binary_payload w1.gzdio' x.spec`, "x.rpm", 0, []string{"leads from root v1 to v2", "fleet-osquery 1.2.3-1 for noarch"}},
		"rpm, zstd":            {both, rpmOf + `--define '_binary_payload w1.zstdio' x.spec`, "x.rpm", 0, []string{"leads from root v1 to v2"}},
		"pkg.tar.zst":          {both, archOf, "x.pkg.tar.zst", 0, []string{"leads from root v1 to v2"}},
		"the old name alone":   {both[1:], debOf + `-Znone -b "$ROOT" x.deb`, "x.deb", 0, []string{"leads from root v1 to v2", `fault: "/opt/orbit/updates-metadata.json" is not there`}},
		"no store":             {nil, debOf + `-Znone -b "$ROOT" x.deb`, "x.deb", 4, []string{"DOES NOT LEAD", "compiled into it"}},
		"another program":      {both, `echo x >>"$ROOT/opt/orbit/bin/orbit/linux/stable/orbit"; ` + debOf + `-Znone -b "$ROOT" x.deb`, "x.deb", 0, []string{"the agent downloads it again"}},
		"another package":      {nil, `rm -r "$ROOT/etc/default/orbit"; ` + debOf + `-Znone -b "$ROOT" x.deb`, "x.deb", 1, []string{"holds no agent of Fleet"}},
		"no package":           {both, `echo '!<arch> and no more' >x.deb`, "x.deb", 1, []string{"not an installer that can be read"}},
		"one that was cut off": {both, debOf + `-Zgzip -b "$ROOT" y.deb; head -c 800 y.deb >x.deb`, "x.deb", 1, []string{"not an installer that can be read"}},
		"an rpm of lies":       {both, `printf '\xed\xab\xee\xdb' >x.rpm; head -c 92 /dev/zero >>x.rpm; printf '\x8e\xad\xe8\x01\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff' >>x.rpm`, "x.rpm", 1, []string{"claims"}},
	}
	made := map[string]string{}
	for name, c := range cases {
		made[name] = makeTheirs(t, h.theirs(t, c.stores...), c.script, c.file)
	}
	must(t, "rotate", "root", "--path", h.dir)
	for name, c := range cases {
		r := hsm(t, nil, "package", "inspect", made[name], "--path", h.dir)
		if r.code != c.code {
			t.Errorf("%s: exit %d, not %d\n%s%s", name, r.code, c.code, r.stdout, r.stderr)
		}
		for _, want := range c.says {
			if !strings.Contains(r.stdout+r.stderr, want) {
				t.Errorf("%s: nothing of %q:\n%s%s", name, want, r.stdout, r.stderr)
			}
		}
	}
	// To a repository that is not the one inside, it does not lead.
	other := newHosts(t, "flat")
	if r := hsm(t, nil, "package", "inspect", made["deb, gzip"], "--url", other.url); r.code != exitUnverified || !strings.Contains(r.stdout, "DOES NOT LEAD") {
		t.Errorf("to another repository: exit %d\n%s", r.code, r.stdout)
	}
}
