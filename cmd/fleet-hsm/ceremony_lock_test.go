//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// askedToSign starts a command at a terminal and waits until it asks. answer types yes and
// gives the exit code and stderr.
func askedToSign(t *testing.T, args ...string) (answer func() (int, string)) {
	t.Helper()
	term, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("fleet-hsm", args...)
	cmd.Env = append(os.Environ(), secretEnv()...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	cmd.ExtraFiles = []*os.File{term.slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fail := func(err error) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("%v\n%s", err, term.close())
	}
	if err := term.expect("Sign this? Type yes"); err != nil {
		fail(err)
	}
	return func() (int, string) {
		t.Helper()
		if err := term.step("type yes"); err != nil {
			fail(err)
		}
		_ = cmd.Wait()
		term.close()
		return cmd.ProcessState.ExitCode(), errOut.String()
	}
}

// TestNobodyWaitsForAPerson: while sign asks, the timestamp from cron goes on at
// once, and the signature is merged afterwards.
func TestNobodyWaitsForAPerson(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	must(t, "rotate", "timestamp", "--path", dir, "--stage-only")
	answer := askedToSign(t, "sign", "--path", dir)
	must(t, "timestamp", "--path", dir, "--lock-timeout", "0s")
	if code, text := answer(); code != 0 {
		t.Fatalf("sign: exit %d\n%s", code, text)
	}
	must(t, "commit", "--path", dir)
	if _, stderr, err := follow(dir, filepath.Join(t.TempDir(), "agent")); err != nil {
		t.Errorf("the agent refuses: %v\n%s", err, stderr)
	}
}

// TestStagedChangedMeanwhile: a signature over bytes that are no longer staged is not
// kept, and says why.
func TestStagedChangedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	must(t, "rotate", "timestamp", "--path", dir, "--stage-only")
	answer := askedToSign(t, "sign", "--path", dir)
	must(t, "rotate", "snapshot", "--path", dir, "--stage-only")
	before, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	code, text := answer()
	if code != exitRefused || !strings.Contains(text, "the signature was not kept, because the staged change has changed since") {
		t.Errorf("sign: exit %d\n%s", code, text)
	}
	if after, err := treeOf(dir); err != nil || after != before {
		t.Errorf("something was written: %v\n%s", err, difference(before, after))
	}
}

// atPrompt starts a command at a terminal that answers nothing until the test types, and
// without the passphrases named in hidden, so that they are asked for.
func atPrompt(t *testing.T, hidden []string, args ...string) *prompted {
	t.Helper()
	term, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	p := &prompted{t: t, term: term, cmd: exec.Command("fleet-hsm", args...)}
	p.cmd.Env = os.Environ()
	for _, kv := range secretEnv() {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(hidden, func(role string) bool { return strings.Contains(name, strings.ToUpper(role)) }) {
			p.cmd.Env = append(p.cmd.Env, kv)
		}
	}
	p.cmd.Stderr = &p.said
	p.cmd.ExtraFiles = []*os.File{term.slave}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

type prompted struct {
	t    *testing.T
	term *terminal
	cmd  *exec.Cmd
	said bytes.Buffer
}

func (p *prompted) play(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if err := p.term.step(line); err != nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
			p.t.Fatalf("%q: %v\n%s\n%s", line, err, p.term.close(), p.said.String())
		}
	}
}

func (p *prompted) end() (code int, said string) {
	p.t.Helper()
	_ = p.cmd.Wait()
	p.term.close()
	return p.cmd.ProcessState.ExitCode(), p.said.String()
}

func timestampOf(t *testing.T, dir string) int64 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "repository", "timestamp.json"))
	if err != nil {
		t.Fatal(err)
	}
	var meta struct{ Signed struct{ Version int64 } }
	if err := json.Unmarshal(data, &meta); err != nil {
		t.Fatal(err)
	}
	return meta.Signed.Version
}

// TestTimestampWhileAsked: whatever a command that changes keys or content asks, cron's
// timestamp goes on at once, and the command builds over it when it is answered.
func TestTimestampWhileAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hidden []string
		args   []string
		asks   string
		answer []string
	}{
		"root, yes":               {nil, []string{"rotate", "root"}, "Sign this? Type yes", []string{"type yes"}},
		"root, its passphrase":    {[]string{"root"}, []string{"rotate", "root"}, "Passphrase of", []string{"secret " + secretOf("root"), "expect Sign this?", "type yes"}},
		"snapshot's passphrase":   {[]string{"snapshot"}, []string{"rotate", "targets", "--renew"}, "Passphrase of", []string{"secret " + secretOf("snapshot")}},
		"targets' passphrase":     {[]string{"targets"}, []string{"rotate", "targets", "--renew"}, "Passphrase of", []string{"secret " + secretOf("targets")}},
		"a new key's passphrase":  {[]string{"targets"}, []string{"rotate", "targets"}, "Passphrase of", []string{"secret " + secretOf("targets"), "expect Sign this?", "type yes"}},
		"timestamp's keys":        {nil, []string{"rotate", "timestamp"}, "Sign this? Type yes", []string{"type yes"}},
		"root renewed, at commit": {nil, []string{"rotate", "root", "--renew"}, "Sign this? Type yes", []string{"type yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyRepo(t, "consistent")
			p := atPrompt(t, c.hidden, append(c.args, "--path", dir)...)
			p.play("expect " + c.asks)
			must(t, "timestamp", "--path", dir, "--lock-timeout", "0s")
			meanwhile := timestampOf(t, dir)
			p.play(c.answer...)
			if code, said := p.end(); code != 0 {
				t.Fatalf("exit %d\n%s", code, said)
			}
			want := meanwhile + 1
			if c.args[1] == "root" {
				want = meanwhile // no timestamp speaks of root
			}
			if v := timestampOf(t, dir); v != want {
				t.Errorf("timestamp v%d, and v%d was published meanwhile", v, meanwhile)
			}
			if _, stderr, err := follow(dir, filepath.Join(t.TempDir(), "agent")); err != nil {
				t.Errorf("the agent refuses: %v\n%s", err, stderr)
			}
			if _, err := os.Stat(filepath.Join(dir, "pending", "change.json")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something stays staged: %v", err)
			}
		})
	}
}

// TestMovedWhileAsked: what another command did while somebody was asked is never undone
// and never built upon; the command stops, and leaves what it finds.
func TestMovedWhileAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile []string
		says      string
	}{
		"dropped":   {[]string{"discard"}, "the staged change was dropped while this command was waiting"},
		"extended":  {[]string{"rotate", "snapshot", "--stage-only"}, "the staged change has changed since"},
		"committed": {nil, "were published while this command was waiting"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyRepo(t, "consistent")
			p := atPrompt(t, nil, "rotate", "timestamp", "--path", dir)
			p.play("expect Sign this? Type yes")
			if c.meanwhile == nil {
				must(t, "sign", "--path", dir, "--no-input", "--reviewed", hashesOf(t, dir)["root"])
				must(t, "commit", "--path", dir)
			} else {
				must(t, append(c.meanwhile, "--path", dir)...)
			}
			before, err := treeOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			p.play("type yes")
			code, said := p.end()
			if code != exitRefused || !strings.Contains(said, c.says) {
				t.Errorf("exit %d\n%s", code, said)
			}
			after, err := treeOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			if name == "dropped" { // the keys made for it are of no use and go
				before, after = withoutKeys(before), withoutKeys(after)
			}
			if after != before {
				t.Errorf("something was written:\n%s", difference(before, after))
			}
			must(t, "timestamp", "--path", dir)
		})
	}
}

// withoutKeys leaves keys/ out of what treeOf gives.
func withoutKeys(tree string) string {
	var b strings.Builder
	for line := range strings.Lines(tree) {
		if !strings.Contains(line, "keys") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestNoLeavesNothing: a change that is in pending/ only because somebody was asked goes
// again with the answer no, and with Ctrl-C.
func TestNoLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		code   int
	}{"no": {"type no", exitRefused}, "Ctrl-C": {"press-shown ^C", exitInterrupted}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyRepo(t, "consistent")
			before, err := treeOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			p := atPrompt(t, nil, "rotate", "root", "--renew", "--path", dir)
			p.play("expect Sign this? Type yes", c.answer)
			if code, said := p.end(); code != c.code {
				t.Errorf("exit %d\n%s", code, said)
			}
			if after, err := treeOf(dir); err != nil || after != before {
				t.Errorf("something stays: %v\n%s", err, difference(before, after))
			}
		})
	}
}
