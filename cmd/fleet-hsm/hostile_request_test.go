//go:build cgo && linux

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// evilModule is a shared library that leaves a mark when it is loaded. It is no PKCS#11
// module: whoever loads it has run its code already.
func evilModule(t *testing.T, file string) (mark string) {
	t.Helper()
	mark = filepath.Join(t.TempDir(), "loaded")
	source := filepath.Join(t.TempDir(), "evil.c")
	code := `#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { close(open(MARK, O_CREAT | O_WRONLY, 0644)); }
`
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", `-DMARK="`+mark+`"`, "-o", file, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return mark
}

func marked(t *testing.T, mark string) bool {
	t.Helper()
	_, err := os.Stat(mark)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// stagedRequest is a request for a new timestamp key, the root to pin, and the hash of
// what it asks to be signed.
func stagedRequest(t *testing.T) (request map[string]any, root, hash string) {
	t.Helper()
	dir := copyRepo(t, "consistent")
	must(t, "rotate", "timestamp", "--path", dir, "--stage-only")
	file := filepath.Join(t.TempDir(), "change.request")
	must(t, "request", "--path", dir, "-o", file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &request); err != nil {
		t.Fatal(err)
	}
	return request, filepath.Join(dir, "repository", "root.json"), hashesOf(t, dir)["root"]
}

// hinting is the request with one hint for the root key that has to sign.
func hinting(t *testing.T, request map[string]any, file string, id string, hint map[string]string) {
	t.Helper()
	altered := map[string]any{}
	for k, v := range request {
		altered[k] = v
	}
	altered["keys"] = map[string]any{id: hint}
	data, err := json.Marshal(altered)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rootKeyOf is the ID of the root key that a request needs.
func rootKeyOf(t *testing.T, request map[string]any) string {
	t.Helper()
	role := request["root"].(map[string]any)["signed"].(map[string]any)["roles"].(map[string]any)["root"]
	return role.(map[string]any)["keyids"].([]any)[0].(string)
}

// What a request says of keys loads no library, opens no file and offers no PIN,
// whatever it is: it is refused as a whole, by review and by sign.
func TestRequestRunsNothing(t *testing.T) {
	t.Parallel()
	request, root, hash := stagedRequest(t)
	id := rootKeyOf(t, request)
	dir := t.TempDir()
	mark := evilModule(t, filepath.Join(dir, ".evil.so"))
	file := filepath.Join(dir, "change.request")
	for _, uri := range []string{
		"pkcs11:token=x?module-path=/proc/self/cwd/.evil.so",
		"pkcs11:token=x?module-path=" + dir + "/.evil.so",
		"pkcs11:?module-path=" + dir + "/.evil.so",
		"pkcs11:object=x?module-path=" + dir + "/.evil.so&pin-source=file:/etc/hostname",
		"pkcs11:token=x?pin-source=file:/etc/hostname",
		"piv:serial=1;slot=9c?pin-source=/etc/hostname",
		"pkcs11:token=x?module-name=evil",
		"pkcs11:token=x;module-path=" + dir + "/.evil.so",
		"pkcs11:token=x;x-module=y", "pkcs11:token=x#y", "file:/etc/hostname?pin-source=file:/etc/hostname", "cmd:true",
	} {
		hinting(t, request, file, id, map[string]string{"uri": uri})
		for _, args := range [][]string{{"review"}, {"sign", "--reviewed", hash}} {
			r := inFolder(t, dir, append(args, "change.request", "--root", root)...)
			if r.code != exitUnverified || !strings.Contains(r.stderr, "the place of a key") {
				t.Errorf("%s, %q: exit %d\n%s", args[0], uri, r.code, r.stderr)
			}
		}
	}
	for _, uri := range []string{"", "file:/etc/hostname", "pub:/etc/hostname"} {
		hinting(t, request, file, id, map[string]string{"uri": uri})
		if r := inFolder(t, dir, "sign", "change.request", "--root", root, "--reviewed", hash); r.code != exitShort {
			t.Errorf("%q: exit %d\n%s", uri, r.code, r.stderr)
		}
	}
	if marked(t, mark) {
		t.Error("the library was loaded")
	}
}

// inFolder runs the tool in a folder, as somebody does who went there.
func inFolder(t *testing.T, dir string, args ...string) result {
	t.Helper()
	cmd := exec.Command("fleet-hsm", args...)
	cmd.Dir = dir
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && !as[*exec.ExitError](err) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}
