package pkcs11

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

func parsed(t testing.TB, s string) signer.URI {
	t.Helper()
	u, err := Kind().Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func codeIn(err error) string {
	var m *ModuleError
	if !errors.As(err, &m) || !errors.Is(err, signer.ErrConfig) {
		return ""
	}
	return m.Code
}

func TestChooseOrder(t *testing.T) {
	dir := t.TempDir()
	file := "# a comment\nmodule: /opt/vendor/lib.so\nx-init-reserved: configdir='/x' flags=readOnly\npriority: 1\n"
	if err := os.WriteFile(filepath.Join(dir, "vendor.module"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty.module"), []byte("priority: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, uri, option, want, args, code string
	}{
		{name: "none", uri: "pkcs11:token=x", code: "module-none"},
		{name: "option", uri: "pkcs11:token=x", option: "/a.so", want: "/a.so"},
		{name: "path in the URI first", uri: "pkcs11:token=x?module-path=/b.so", option: "/a.so", want: "/b.so"},
		{name: "option before a name", uri: "pkcs11:token=x?module-name=vendor", option: "/a.so", want: "/a.so"},
		{name: "name", uri: "pkcs11:token=x?module-name=vendor", want: "/opt/vendor/lib.so", args: "configdir='/x' flags=readOnly"},
		{name: "unknown name", uri: "pkcs11:token=x?module-name=nobody", code: "module-name"},
		{name: "a file without a module", uri: "pkcs11:token=x?module-name=empty", code: "module-file"},
		{name: "relative option", uri: "pkcs11:token=x", option: "lib/a.so", code: "module-not-absolute"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Options{Module: tt.option, ConfigDirs: []string{dir}}.choose(parsed(t, tt.uri))
			if codeIn(err) != tt.code || got.path != tt.want || got.initArgs != tt.args {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestCheckModule(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil { // past the umask
			t.Fatal(err)
		}
		return p
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	other := append([]byte(nil), program...)
	other[18], other[19] = 0x08, 0x00 // EM_MIPS
	narrow := append([]byte(nil), program[:64]...)
	narrow[4] = 1 // ELFCLASS32
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	inOpen := filepath.Join(open, "a.so")
	if err := os.WriteFile(inOpen, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, code string }{
		{"missing", filepath.Join(dir, "nobody.so"), "module-missing"},
		{"a folder", dir, "module-not-file"},
		{"writable by all", write("w.so", program, 0o777), "module-writable"},
		{"writable by the group", write("g.so", program, 0o775), "module-writable"},
		{"in a folder that all can write", inOpen, "module-writable"},
		{"text", write("t.so", []byte("not a library\n"), 0o755), "module-not-library"},
		{"empty", write("e.so", nil, 0o755), "module-not-library"},
		{"another machine's", write("m.so", other, 0o755), "module-arch"},
		{"a dangling link", symlink(t, dir, "gone"), "module-missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := checkModule(tt.path)
			if codeIn(err) != tt.code || err == nil || !strings.Contains(err.Error(), tt.path) {
				t.Errorf("error is %v, want %s", err, tt.code)
			}
		})
	}
	if runtime.GOOS == "linux" {
		if _, err := checkModule(write("n.so", narrow, 0o755)); err == nil {
			t.Error("a 32-bit file passed")
		}
	}
}

func symlink(t *testing.T, dir, target string) string {
	t.Helper()
	p := filepath.Join(dir, "link.so")
	if err := os.Symlink(filepath.Join(dir, target), p); err != nil {
		t.Fatal(err)
	}
	return p
}
