//go:build unix

package kms_test

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// plugins makes a folder with the test binary as sigstore-kms-zoo.
func plugins(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "sigstore-kms-zoo"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// keyFile makes a private key for the zoo, and a second one beside it.
func keyFile(t testing.TB, dir, alg string) (file string, pub crypto.PublicKey) {
	t.Helper()
	file = filepath.Join(dir, alg)
	for _, name := range []string{other(file), file} {
		k, err := makeKey(alg)
		if err == nil {
			err = save(name, k)
		}
		if err != nil {
			t.Fatal(err)
		}
		pub = k.Public()
	}
	return file, pub
}

func uri(t testing.TB, s string) signer.URI {
	t.Helper()
	u, err := kms.Kind().Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pub := keyFile(t, dir, "p256")
	folder := plugins(t)
	signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
		return signertest.Device{
			Backend: kms.New(kms.Options{Folder: folder}), URI: uri(t, "kms:zoo;ref=good:"+file), Public: pub,
			Missing: uri(t, "kms:zoo;ref=good:"+dir+"/absent"),
		}
	}})
}

// TestPython: a plug-in in another language, written from docs/kms.md alone, makes keys and
// passes the suite.
func TestPython(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join("testdata", "sigstore-kms-py"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "sigstore-kms-py"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	u := uri(t, "kms:py;ref="+dir+"/key.pem")
	g, err := kms.New(kms.Options{Folder: dir}).Generate(t.Context(), signer.Ref{URI: u}, signer.GenerateOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
		return signertest.Device{Backend: kms.New(kms.Options{Folder: dir}), URI: u, Public: g.Public[0], Missing: uri(t, "kms:py;ref="+dir+"/absent.pem")}
	}})
}

func TestURI(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"kms:aws;ref=alias/fleet":             "kms:aws;ref=alias%2Ffleet",
		"kms:name=aws;ref=x":                  "kms:aws;ref=x",
		"KMS:ref=a;name=b-2.c":                "kms:b-2.c;ref=a",
		"aws://alias/fleet":                   "kms:aws;ref=alias%2Ffleet",
		"gcp://projects/p/k?v=1;x#y":          "kms:gcp;ref=projects%2Fp%2Fk%3Fv%3D1%3Bx%23y",
		"my-hsm:///tmp/key.pem":               "kms:my-hsm;ref=%2Ftmp%2Fkey.pem",
		"kms:aws;ref=arn:aws:kms:eu-1:1:key/": "kms:aws;ref=arn:aws:kms:eu-1:1:key%2F",
	} {
		u, err := kms.Kind().Parse(in)
		if err != nil || u.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, u, err, want)
			continue
		}
		if again, err := kms.Kind().Parse(u.String()); err != nil || again.String() != want {
			t.Errorf("%q does not come back: %q, %v", want, again, err)
		}
	}
	for in, want := range map[string]string{
		"kms:": "no plug-in", "kms:aws": "no reference", "kms:ref=x": "no plug-in", "kms:../evil;ref=x": "lower-case letters",
		"kms:Aws;ref=x": "lower-case letters", "kms:a%2Fb;ref=x": "lower-case letters", "kms:.a;ref=x": "lower-case letters",
		"kms:aws;ref=x?pin-source=file:/x": "takes none", "kms:aws;ref=x?plugins=/tmp": "takes none", "kms:aws;ref=a%0ab": "control character",
		"kms:aws;name=b;ref=x": "given twice", "kms:aws;ref=": "empty", "aws:alias": "unknown scheme", "aws://": "unknown scheme",
		"kms:aws;ref=" + strings.Repeat("x", 5000): "longer than",
	} {
		if u, err := kms.Kind().Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %q", in, u, err, want)
		}
	}
}

// TestPublicKeyIsReadOnce: a command that signs three times makes four calls.
func TestPublicKeyIsReadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pub := keyFile(t, dir, "p256")
	b := kms.New(kms.Options{Folder: plugins(t)})
	for range 3 {
		s, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref=good:"+file), Pinned: pub}, nil)
		if err == nil {
			_, err = s.Sign(t.Context(), []byte("m"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if p, s := calls(t, dir, "publicKey"), calls(t, dir, "signMessage"); p != 1 || s != 3 {
		t.Errorf("%d calls of publicKey and %d of signMessage; want 1 and 3", p, s)
	}
}

// TestProgramCounts: which program is started, and which is not.
func TestProgramCounts(t *testing.T) {
	good := plugins(t)
	t.Chdir(good) // so that a relative folder of PATH would have it
	dir := t.TempDir()
	file, _ := keyFile(t, dir, "p256")
	open := func(folder string) error {
		s, err := kms.New(kms.Options{Folder: folder}).Open(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref=good:"+file)}, nil)
		if err == nil {
			return s.Close()
		}
		return err
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := func(mode os.FileMode, folderMode os.FileMode, content string) string {
		d := filepath.Join(t.TempDir(), "plugins")
		p := filepath.Join(d, "sigstore-kms-zoo")
		if err := errors.Join(os.Mkdir(d, 0o755), os.WriteFile(p, []byte(content), 0o755), os.Chmod(p, mode), os.Chmod(d, folderMode)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	script := "#!/bin/sh\nexec " + self + " \"$@\"\n"
	stranger := program(0o755, 0o755, script)
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(stranger, "sigstore-kms-zoo"), 54321, 54321); err != nil {
			t.Fatal(err)
		}
	} else {
		stranger = program(0o757, 0o755, script)
	}
	isFolder := filepath.Join(t.TempDir(), "p")
	if err := os.MkdirAll(filepath.Join(isFolder, "sigstore-kms-zoo"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ folder, path, code string }{
		"configured":                      {good, "/nowhere", ""},
		"a script":                        {program(0o755, 0o755, script), "/nowhere", ""},
		"in PATH":                         {"", "/nowhere:" + good, ""},
		"not in the configured folder":    {dir, good, "program-missing"},
		"in no folder of PATH":            {"", "/nowhere:" + dir, "program-missing"},
		"in a relative folder of PATH":    {"", ".:", "program-missing"},
		"the configured one is relative":  {"plugins", good, "program-folder"},
		"anybody may write it":            {program(0o757, 0o755, script), "", "program-writable"},
		"a group may write it":            {program(0o775, 0o755, script), "", "program-writable"},
		"anybody may write in its folder": {program(0o755, 0o777, script), "", "program-writable"},
		"in a folder like /tmp":           {program(0o755, 0o777|os.ModeSticky, script), "", "program-writable"},
		"the first in PATH does not count, and the second is not asked": {"", program(0o755, 0o777, script) + ":" + good, "program-writable"},
		"somebody else's":           {stranger, "", "program-writable"},
		"not executable":            {program(0o644, 0o755, script), "", "program-not-executable"},
		"a folder":                  {isFolder, "", "program-not-file"},
		"no program at all":         {program(0o755, 0o755, "\x00\x01"), "", "program-start"},
		"of an absent interpreter":  {program(0o755, 0o755, "#!/no/such/interpreter\n"), "", "program-start"},
		"the folder is not absent":  {filepath.Join(good, "none"), good, "program-missing"},
		"its first folder is empty": {"", dir + ":" + good, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", tt.path)
			err := open(tt.folder)
			var pe *kms.ProgramError
			if errors.As(err, &pe); tt.code == "" && err != nil || tt.code != "" && (pe == nil || pe.Code != tt.code) {
				t.Errorf("%v; want %q", err, tt.code)
			}
			if pe != nil && (!errors.Is(err, signer.ErrConfig) || !strings.Contains(err.Error(), "sigstore-kms-zoo")) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestEnvironment: a plug-in gets its own variables and those that are named, no other
// secret, and stands in its own folder.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{"ZOO_KEY": "own", "ZOO2_TOKEN": "named", "OTHER_TOKEN": "secret", "FLEET_ROOT_PIN": "1234"} {
		t.Setenv(name, value)
	}
	file, _ := keyFile(t, t.TempDir(), "p256")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for names, want := range map[string]string{
		"":                            "ZOO_KEY=own ZOO2_TOKEN= OTHER_TOKEN= FLEET_ROOT_PIN= in " + filepath.Dir(self),
		"ZOO2_TOKEN":                  "ZOO_KEY=own ZOO2_TOKEN=named OTHER_TOKEN= FLEET_ROOT_PIN= in " + filepath.Dir(self),
		"FLEET_*, ZOO2_* OTHER_TOKEN": "ZOO_KEY=own ZOO2_TOKEN=named OTHER_TOKEN=secret FLEET_ROOT_PIN= in " + filepath.Dir(self),
	} {
		_, err := kms.New(kms.Options{Folder: plugins(t), Environment: names}).Open(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref=withheld:"+file)}, nil)
		var e *kms.RefusedError
		if !errors.As(err, &e) || e.Text != want {
			t.Errorf("%q: %v; want %q", names, err, want)
			continue
		}
		if slices.Contains(e.Withheld, "OTHER_TOKEN") == strings.Contains(want, "OTHER_TOKEN=secret") || slices.Contains(e.Withheld, "FLEET_ROOT_PIN") {
			t.Errorf("%q: withheld are %q", names, e.Withheld)
		}
	}
}

// ears hears what plug-ins say.
type ears struct {
	signertest.UI
	mu    sync.Mutex
	lines []string
}

func (e *ears) Heard(from, line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, from+": "+line)
}

// TestHeard: what a plug-in says is handed over line by line, and not without end.
func TestHeard(t *testing.T) {
	t.Parallel()
	file, _ := keyFile(t, t.TempDir(), "p256")
	var ui ears
	if _, err := kms.New(kms.Options{Folder: plugins(t)}).Open(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref=noisy:"+file)}, &ui); err != nil {
		t.Fatal(err)
	}
	if n := len(ui.lines); n != 51 || !strings.HasPrefix(ui.lines[0], "sigstore-kms-zoo: line 0 \x1b") || len(ui.lines[0]) > 1100 || !strings.Contains(ui.lines[50], "more than 50 lines") {
		t.Errorf("%d lines are heard: %.60q .. %.60q", n, ui.lines[0], ui.lines[n-1])
	}
}

// TestGenerate: a key is made in the vendor's words for what was asked for.
func TestGenerate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := kms.New(kms.Options{Folder: plugins(t)})
	generate := func(does, name string, alg signer.Algorithm) (signer.Generated, error) {
		return b.Generate(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref="+does+":"+filepath.Join(dir, name))}, signer.GenerateOptions{Algorithm: alg}, &signertest.UI{})
	}
	for i, tt := range []struct{ alg, want signer.Algorithm }{{"", signer.P256}, {signer.P256, signer.P256}, {signer.RSA3072, signer.RSA3072}, {signer.Ed25519, signer.Ed25519}} {
		g, err := generate("good", strconv.Itoa(i), tt.alg)
		if err != nil || len(g.Public) != 1 || len(g.Warnings) != 0 {
			t.Errorf("%q: %+v, %v", tt.alg, g, err)
			continue
		}
		if have, _ := signer.AlgorithmOf(g.Public[0]); have != tt.want {
			t.Errorf("%q: a key of the kind %s", tt.alg, have)
		}
		s, err := b.Open(t.Context(), signer.Ref{URI: g.URI, Pinned: g.Public[0]}, nil)
		if err == nil {
			_, err = s.Sign(t.Context(), []byte("m"))
		}
		if err != nil {
			t.Errorf("%q: %v", tt.alg, err)
		}
	}
	if _, err := generate("good", "0", ""); !errors.Is(err, signer.ErrKeyExists) {
		t.Errorf("a second time: %v; want that it is there", err)
	}
	if _, err := generate("good", "x", signer.RSA4096); !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "rsa-pss-3072-sha256") {
		t.Errorf("one that the plug-in does not make: %v", err)
	}
	g, err := generate("silent", "y", "")
	if err != nil || len(g.Warnings) != 1 {
		t.Errorf("a plug-in that does not tell why it shows no key: %+v, %v; want a warning", g, err)
	}
}

// TestProbe: doctor goes from the program to the key, and signs nothing.
func TestProbe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pub := keyFile(t, dir, "p256")
	folder := plugins(t)
	_, another := keyFile(t, t.TempDir(), "p256")
	for _, tt := range []struct {
		folder, ref string
		pinned      crypto.PublicKey
		want        string
	}{
		{folder, "good:" + file, pub, "program key"}, {folder, "good:" + file, nil, "program key"}, {folder, "good:" + file, another, "program !key-changed"},
		{folder, "good:" + file + "x", pub, "program !key-absent"}, {folder, "withheld:" + file, pub, "program !kms"}, {dir, "good:" + file, pub, "!program-missing"},
	} {
		got := ""
		for _, f := range kms.New(kms.Options{Folder: tt.folder}).Probe(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref="+tt.ref), Pinned: tt.pinned}) {
			mark := ""
			if !f.OK {
				mark = "!"
				if f.Err == nil {
					t.Errorf("%s has no error for a hint", f.Code)
				}
			}
			got += " " + mark + f.Code
		}
		if got = strings.TrimSpace(got); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.ref, got, tt.want)
		}
	}
	if n := calls(t, dir, "signMessage"); n != 0 {
		t.Errorf("%d signatures were asked for", n)
	}
}

// TestNoToken: a request cannot have a plug-in started, and no PIN is offered to one.
func TestNoToken(t *testing.T) {
	t.Parallel()
	var be signer.Backend = kms.New(kms.Options{})
	if _, ok := be.(signer.Tokener); ok {
		t.Error("it lists tokens, by which places are looked up that a request names")
	}
	if _, ok := be.(signer.Finder); ok {
		t.Error("it is asked for every key that nobody has placed")
	}
	if u := uri(t, "kms:zoo;ref=x"); u.OnToken() || !u.OnDevice() {
		t.Errorf("%s is taken for a token", u)
	}
	if s := fmt.Sprint(signer.Kinds{kms.Kind()}.Devices(), len(signer.Kinds{kms.Kind()}.Ready(nil))); s != "0" {
		t.Errorf("it is among the devices: %q", s)
	}
}
