package installer

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

func good() Options {
	return Options{Types: []string{Deb}, Arches: []string{"amd64"}, UpdateURL: "https://updates.example.com",
		OrbitChannel: "stable", OsquerydChannel: "stable", DesktopChannel: "stable", UpdateInterval: DefaultInterval}
}

// TestCheck: each wrong option by its flag.
func TestCheck(t *testing.T) {
	t.Parallel()
	if o := good(); o.Check() != nil {
		t.Fatal(o.Check())
	}
	for about, spoil := range map[string]func(o *Options){
		"--type":               func(o *Options) { o.Types = []string{"apk"} },
		"--type msi":           func(o *Options) { o.Types = []string{Deb, "msi"} },
		"--arch":               func(o *Options) { o.Arches = []string{"amd64", "amd64"} },
		"--outfile":            func(o *Options) { o.Types, o.Outfile = Types(), "x" },
		"--update-url":         func(o *Options) { o.UpdateURL = "ftp://updates.example.com" },
		"--fleet-url":          func(o *Options) { o.FleetURL = "https://fleet.example.com/x" },
		"--orbit-channel":      func(o *Options) { o.OrbitChannel = "../stable" },
		"--osqueryd-channel":   func(o *Options) { o.OsquerydChannel = "" },
		"--version":            func(o *Options) { o.Version = "v1" },
		"--update-interval":    func(o *Options) { o.UpdateInterval = 0 },
		"--enroll-secret-file": func(o *Options) { o.EnrollSecret = "a\nORBIT_INSECURE=true" },
		"--end-user-email":     func(o *Options) { o.EndUserEmail = "a\nb" },
		"--osquery-db":         func(o *Options) { o.OsqueryDB = "/var/\xff" },
		"--insecure and --update-tls-certificate": func(o *Options) { o.Insecure, o.UpdateCertificate = true, "x" },
	} {
		o := good()
		spoil(&o)
		var e *Error
		if err := o.Check(); !errors.As(err, &e) || e.About != about {
			t.Errorf("%s: %v", about, err)
		}
	}
	o := good()
	o.UpdateURL = "https://updates.example.com/fleet/"
	if err := o.Check(); err != nil || o.UpdateURL != "https://updates.example.com/fleet" {
		t.Errorf("%q %v", o.UpdateURL, err)
	}
}

// TestServedAt: what a stranger's package names as its server is asked only if agents
// would ask it too.
func TestServedAt(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"https://updates.example.com/fleet": "https://updates.example.com/fleet", `"http://localhost:8080"`: "http://localhost:8080",
		"": "", "/etc": "", "file:///etc": "", "s3://bucket": "", "../updates": "", "https://": "", "https://u:p@updates.example.com": "",
	} {
		var i Inspection
		i.readEnvironment([]byte("ORBIT_UPDATE_URL=" + said + "\n"))
		if got := i.ServedAt(); got != want || (want == "") != (len(i.Faults) == 1) {
			t.Errorf("%q: %q, faults %q", said, got, i.Faults)
		}
	}
}

// TestEnvironment: a shell reads every value back, and so do we; no value begins a line of
// its own.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"plain", "with blank", `quo"te`, "dollar$HOME", "back`tick`", `back\slash`, "single'quote", "#", "a=b", "ünïcode"} {
		o := good()
		o.EnrollSecret = secret
		text := o.environment()
		var i Inspection
		i.readEnvironment([]byte(text))
		if !i.Secret || i.UpdateURL != o.UpdateURL || i.Channels["orbit"] != "stable" {
			t.Errorf("%q reads back as %+v", secret, i)
		}
		cmd := exec.Command("sh", "-c", text+"\nprintf %s \"$ORBIT_ENROLL_SECRET\"")
		if out, err := cmd.Output(); err != nil || string(out) != secret {
			t.Errorf("a shell reads %q as %q (%v)", secret, out, err)
		}
		if unquoted(quoted(secret)) != secret {
			t.Errorf("%q reads back as %q", secret, unquoted(quoted(secret)))
		}
	}
	if o := good(); strings.Contains(o.environment(), "\nORBIT_ENROLL_SECRET") {
		t.Error("a secret that nobody gave")
	}
}

// TestScripts: each is a script, and removes only when it is removed. They run without a
// system to work on: what they would call is written down.
func TestScripts(t *testing.T) {
	t.Parallel()
	run := func(script, arg string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", `exec 3>&1; systemctl() { echo systemctl "$@" >&3; }; rm() { echo rm "$@"; }; command() { return 0; }
`+strings.Replace(script, "#!/bin/sh\n", "", 1), "script", arg)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, script)
		}
		return string(out)
	}
	for kind, arg := range map[string]struct{ removes, upgrades string }{Deb: {"remove", "upgrade"}, RPM: {"0", "1"}} {
		s := scriptsOf(kind)
		if out := run(s.postRemove, arg.removes); !strings.Contains(out, "rm -rf /opt/orbit") {
			t.Errorf("%s: removal leaves the agent: %s", kind, out)
		}
		if out := run(s.preRemove, arg.removes); !strings.Contains(out, "systemctl disable") {
			t.Errorf("%s: removal leaves the unit enabled: %s", kind, out)
		}
		if out := run(s.postRemove, arg.upgrades) + run(s.preRemove, arg.upgrades); strings.Contains(out, "rm ") || strings.Contains(out, "disable") {
			t.Errorf("%s: an upgrade removes the agent: %s", kind, out)
		}
	}
	if out := run(scriptsOf(Deb).postRemove, "remove"); strings.Contains(out, localFile) {
		t.Errorf("dpkg -r takes the host's own settings: %s", out)
	}
	if out := run(scriptsOf(Deb).postRemove, "purge"); !strings.Contains(out, localFile) {
		t.Errorf("dpkg --purge leaves the host's own settings: %s", out)
	}
	if scriptsOf(RPM).postTrans == "" || scriptsOf(Arch).postUpgrade == "" {
		t.Error("nothing starts the agent again after an upgrade")
	}
}

// TestFind names what there is instead.
func TestFind(t *testing.T) {
	t.Parallel()
	targets := map[string]verify.Named{"orbit/linux/edge/orbit": {Version: "1"}, "orbit/linux/beta/orbit": {}}
	o := good()
	for channel, kind := range map[string]Kind{"stable": NoTarget, "beta": NoVersion} {
		o.OrbitChannel = channel
		_, err := find(targets, o.components("amd64")[0])
		var e *Error
		if !errors.As(err, &e) || e.Kind != kind || kind == NoTarget && !strings.Contains(err.Error(), "beta, edge") {
			t.Errorf("%s: %v", channel, err)
		}
	}
}

// TestFleetctl is a line that a shell understands, each value in one piece.
func TestFleetctl(t *testing.T) {
	t.Parallel()
	o := good()
	o.FleetURL, o.Outfile, o.Desktop = "https://fleet.example.com", "it's mine.msi", true
	root := filepath.Join(t.TempDir(), "a root.json")
	line := strings.Join(o.Fleetctl("msi", "arm64", root, ""), " ")
	out, err := exec.Command("sh", "-c", `cat() { printf '%s' "root of $1"; }; fleetctl() { printf '%s\n' "$@"; }; `+line).Output()
	words := strings.Split(string(out), "\n")
	for _, want := range []string{"msi", "arm64", "https://updates.example.com", "root of " + root, "it's mine.msi", "--fleet-desktop"} {
		if err != nil || !slices.Contains(words, want) {
			t.Errorf("%q is not a word of %q (%v)", want, words, err)
		}
	}
}

// FuzzArchive: what others hand over ends in an answer.
func FuzzArchive(f *testing.F) {
	for _, s := range []string{"", "!<arch>\n", "!<arch>\ncontrol.tar.gz  0           0     0     100644  99        `\n", "\xed\xab\xee\xdb", "\x28\xb5\x2f\xfd"} {
		f.Add([]byte(s))
	}
	f.Add(append(append([]byte{0xed, 0xab, 0xee, 0xdb}, make([]byte, 92)...), "\x8e\xad\xe8\x01\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"...))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = readArchive(bytes.NewReader(data), func(_ string, r io.Reader) error {
			_, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			return err
		})
	})
}
