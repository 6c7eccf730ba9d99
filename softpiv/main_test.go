//go:build cgo

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shop is a folder with a softpiv in it and the programs built.
type shop struct {
	*testing.T
	dir, bin string
	cmd      *exec.Cmd
}

// talk is what softpiv said on its standard error.
func (s *shop) talk() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "talk"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// build compiles commands of this module into one folder.
func build(t *testing.T, commands ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, c := range commands {
		out, err := exec.Command("go", "build", "-o", bin+"/", "github.com/fleet-hsm/fleet-hsm/"+c).CombinedOutput()
		if err != nil {
			t.Fatalf("building %s: %v\n%s", c, err, out)
		}
	}
	return bin
}

// start runs softpiv in the background and waits for "ready".
func (s *shop) start(args ...string) {
	s.Helper()
	s.cmd = exec.Command(filepath.Join(s.bin, "softpiv"), append([]string{"--state", "rehearsal"}, args...)...)
	s.cmd.Dir = s.dir
	talk, err := os.Create(filepath.Join(s.dir, "talk"))
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = talk.Close() }()
	s.cmd.Stderr = talk
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	err = s.cmd.Wait()
	s.Fatalf("softpiv is not ready: %v\n%s", err, s.talk())
}

// stop ends softpiv as a supervisor does, and expects a clean end.
func (s *shop) stop() {
	s.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.Errorf("softpiv: %v\n%s", err, s.talk())
	}
}

// shell runs a script with the environment that softpiv wrote.
func (s *shop) shell(script string) (string, error) {
	cmd := exec.Command("bash", "-euc", ". rehearsal/env\n"+script)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *shop) must(script string) string {
	s.Helper()
	out, err := s.shell(script)
	if err != nil {
		s.Fatalf("%s\n%v\n%s\nsoftpiv: %s", script, err, out, s.talk())
	}
	return out
}

// ceremony takes the marked blocks out of the README.
func ceremony(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	blocks := strings.Split(string(readme), "<!-- test: ceremony -->\n```\n")[1:]
	for _, b := range blocks {
		code, _, found := strings.Cut(b, "```")
		if !found {
			t.Fatal("a block does not end")
		}
		script.WriteString(code)
	}
	if len(blocks) < 4 {
		t.Fatalf("%d blocks in the README", len(blocks))
	}
	return strings.ReplaceAll(script.String(), "go run ./softpiv", "softpiv")
}

// TestREADME plays the ceremony as it is printed, over both transports.
func TestREADME(t *testing.T) {
	t.Parallel()
	script := ceremony(t)
	bin := build(t, "softpiv", "cmd/fleet-hsm")
	for _, transport := range []string{"stub", "pcscd"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			if transport == "pcscd" && os.Geteuid() != 0 {
				if os.Getenv("CI") == "true" {
					t.Fatal("a pcscd of its own needs root, and CI must run this test")
				}
				t.Skip("a pcscd of its own needs root")
			}
			s := &shop{T: t, dir: t.TempDir(), bin: bin}
			s.start("--transport", transport, "--touch", "auto")
			defer s.stop()
			out := s.must(script)
			if n := strings.Count(out, "verified from root v1"); n != 2 {
				t.Errorf("verified %d times:\n%s", n, out)
			}
			for _, want := range []string{"root      v1     2 of 2 signatures", "card 10000001, slot 9c", "card 10000002, slot 9c"} {
				if !strings.Contains(out, want) {
					t.Errorf("output lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

// TestDesk: commands, a restart that remembers, and one softpiv per folder.
func TestDesk(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("yubico-piv-tool"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &shop{T: t, dir: t.TempDir(), bin: build(t, "softpiv")}
	s.start("--transport", "stub", "--serial", "77", "--serial", "78", "--firmware", "5.4.3", "--touch", "hand")
	if out, err := s.shell("softpiv --state rehearsal"); err == nil || !strings.Contains(out, "another softpiv runs") {
		t.Errorf("a second softpiv: %v\n%s", err, out)
	}
	s.must("yubico-piv-tool -a generate -s 9c -A ECCP256 --touch-policy=always -o pub")
	s.must("yubico-piv-tool -a attest -s 9c -o cert")
	sign := "yubico-piv-tool -a verify-pin -P 123456 -a test-signature -s 9c -i cert"
	s.must(sign + " & signing=$!; until softpiv --state rehearsal touch; do sleep 0.02; done; wait $signing")
	s.must("softpiv --state rehearsal touched-by 77 auto; softpiv --state rehearsal wrong 77")
	if out, err := s.shell(sign); err == nil {
		t.Errorf("a wrong signature was taken:\n%s", out)
	}
	s.must(sign)
	if out, err := s.shell("yubico-piv-tool -a verify-pin -P 999999"); err == nil {
		t.Errorf("a wrong PIN was taken:\n%s", out)
	}
	s.must("softpiv --state rehearsal remove 77")
	if out := s.must("yubico-piv-tool -a status"); !strings.Contains(out, "Serial Number:\t78") {
		t.Errorf("with card 77 out:\n%s", out)
	}
	for _, wrong := range []string{"dance", "remove", "remove 1", "miss 77 x", "remove-after 77", "touched-by 77 feet", "touch"} {
		if out, err := s.shell("softpiv --state rehearsal " + wrong); err == nil || !strings.Contains(out, "softpiv: ") {
			t.Errorf("%q: %v\n%s", wrong, err, out)
		}
	}
	s.stop()
	if out, err := exec.Command(filepath.Join(s.bin, "softpiv"), "--state", filepath.Join(s.dir, "rehearsal"), "list").CombinedOutput(); err == nil {
		t.Errorf("it answers after its end:\n%s", out)
	}
	s.start("--transport", "stub")
	defer s.stop()
	list := s.must("softpiv --state rehearsal list")
	for _, want := range []string{"card 77: YubiKey 5.4.3, plugged in, 2 PIN and 3 PUK tries left", "card 78: "} {
		if !strings.Contains(list, want) {
			t.Errorf("list lacks %q:\n%s", want, list)
		}
	}
	s.must("yubico-piv-tool -r 'CCID 00 00' -a verify-pin -P 123456 -a test-signature -s 9c -i cert")
	s.must("softpiv --state rehearsal trace 77")
}
