//go:build cgo && linux

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// stranger is a user who is neither root nor the one that runs the tests.
const stranger = 54321

// handOver gives a folder and everything in it to somebody else. Only root can; CI is.
func handOver(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, stranger, stranger)
	})
	if err != nil {
		t.Fatalf("a folder of another user takes root: %v", err)
	}
}

// A folder of somebody else brings no code: its configuration does not count, whatever
// the command is, and neither does a module that lies in it.
func TestStrangersFolderBringsNoCode(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	mark := evilModule(t, filepath.Join(dir, ".evil.so"))
	ran := filepath.Join(t.TempDir(), "ran")
	config := "pkcs11: {module: /proc/self/cwd/.evil.so}\nsecrets: {\"pkcs11:token=x\": \"cmd:touch " + ran + "\"}\n"
	if err := os.WriteFile(filepath.Join(dir, "fleet-hsm.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	handOver(t, dir)
	for _, command := range []string{"token list", "timestamp", "review", "status", "sign", "key list pkcs11:", "rotate timestamp", "online --store file://" + dir + " --once"} {
		r := inFolder(t, dir, append([]string{"--json"}, strings.Fields(command)...)...)
		if r.code != exitUsage || command != "online --store file://"+dir+" --once" && !strings.Contains(r.stderr, `"kind":"not-yours"`) {
			t.Errorf("%s: exit %d\n%s", command, r.code, r.stderr)
		}
	}
	if r := inFolder(t, dir, "doctor"); r.code != exitRefused || !strings.Contains(r.stdout, "PROBLEM ") || !strings.Contains(r.stdout, "belongs to user 54321") {
		t.Errorf("doctor: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	// Named by its path it is no better, nor is the module where the configuration is one's own.
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "mine.yaml"), []byte("pkcs11: {module: "+dir+"/.evil.so}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--path", dir}, {"--config", filepath.Join(dir, "fleet-hsm.yaml")}} {
		if r := inFolder(t, other, append([]string{"token", "list", "pkcs11:"}, args...)...); r.code != exitUsage {
			t.Errorf("token list %v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	for _, args := range [][]string{{"--config", filepath.Join(other, "mine.yaml")}, {"--pkcs11-module", dir + "/.evil.so"}} {
		if r := inFolder(t, other, append([]string{"token", "list", "pkcs11:"}, args...)...); r.code != exitUsage || !strings.Contains(r.stderr, "others could put their own code there") {
			t.Errorf("token list %v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	if marked(t, mark) || marked(t, ran) {
		t.Error("code of the folder was run")
	}
	// The way out that the hint names.
	own := filepath.Join(other, "own.yaml")
	if err := os.WriteFile(own, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := inFolder(t, dir, "status", "--config", own); r.code != exitOK {
		t.Errorf("status with a configuration of one's own: exit %d\n%s", r.code, r.stderr)
	}
}

// A request is opened where it lies without anything that lies beside it, and under the
// holder's own configuration.
func TestRequestInAStrangersFolder(t *testing.T) {
	t.Parallel()
	request, root, hash := stagedRequest(t)
	data, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, whose := range []string{"a stranger's", "one's own"} {
		for _, planted := range []bool{false, true} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "change.request"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			mark := filepath.Join(dir, "none")
			if planted {
				mark = evilModule(t, filepath.Join(dir, ".evil.so"))
				if err := os.WriteFile(filepath.Join(dir, "fleet-hsm.yaml"), []byte("pkcs11: {module: /proc/self/cwd/.evil.so}\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if whose == "a stranger's" {
				handOver(t, dir)
			}
			for args, want := range map[string]int{"review": exitOK, "sign --reviewed " + hash: exitShort} {
				r, opened := traced(t, dir, append(strings.Fields(args), "change.request", "--root", root)...)
				if r.code != want || planted != strings.Contains(r.stderr, "is not read for a request") {
					t.Errorf("%s, %s folder, planted %v: exit %d\n%s", args, whose, planted, r.code, r.stderr)
				}
				for _, file := range opened {
					if !filepath.IsAbs(file) {
						file = filepath.Join(dir, file)
					}
					if rel, err := filepath.Rel(dir, file); err == nil && !strings.HasPrefix(rel, "..") && !strings.Contains(rel, "change.request") && rel != "." {
						t.Errorf("%s, %s folder: opened %q", args, whose, rel)
					}
				}
			}
			if marked(t, mark) {
				t.Errorf("%s folder: the library was loaded", whose)
			}
		}
	}
}

// traced runs the tool in a folder and lists the files that it tried to open or execute.
func traced(t *testing.T, dir string, args ...string) (result, []string) {
	t.Helper()
	bin, err := exec.LookPath("fleet-hsm")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append([]string{"-f", "-qq", "-e", "trace=open,openat,execve", "-o", log, bin}, args...)...)
	cmd.Dir = dir
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && !as[*exec.ExitError](err) {
		t.Fatal(err)
	}
	trace, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var opened []string
	for _, m := range regexp.MustCompile(`(?:open|openat|execve)\([^"]*"([^"]*)"`).FindAllStringSubmatch(string(trace), -1) {
		opened = append(opened, m[1])
	}
	if len(opened) < 3 {
		t.Fatalf("strace saw only %d files\n%s", len(opened), trace)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}, opened
}

// The holder's own configuration is found, its policy holds, and what is relative in it
// is relative to it.
func TestHoldersOwnConfiguration(t *testing.T) {
	t.Parallel()
	request, root, hash := stagedRequest(t)
	data, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	dir, home := t.TempDir(), t.TempDir()
	own := filepath.Join(home, "fleet-hsm")
	pinned, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		filepath.Join(dir, "change.request"): string(data), filepath.Join(own, "root.json"): string(pinned),
		filepath.Join(own, "fleet-hsm.yaml"): "trusted-root: root.json\npolicy: {root: {min-threshold: 2}}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("fleet-hsm", "sign", "change.request", "--reviewed", hash)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDG_CONFIG_HOME="+home)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitRefused || !strings.Contains(string(out), "min-threshold") || strings.Contains(string(out), "No root is pinned") {
		t.Errorf("exit %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
}
