//go:build cgo && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asking is a command that asks for a card's PIN.
type asking struct {
	name, role string
	args       []string
	first      []string // what is asked before the PIN
	then       []string // and after it, if it is right
	fails      int      // exit code after a wrong PIN; 0 means 5
}

func (c asking) failing() int {
	if c.fails != 0 {
		return c.fails
	}
	return exitSecret
}

// askingCommands lists them all, sign last: it needs a staged change.
func askingCommands(target string) []asking {
	confirm := []string{"expect Sign this?", "type yes"}
	return []asking{
		{name: "key generate", role: "", args: []string{"key", "generate", "piv:serial=15835999;slot=82", "--touch-policy", "never"}},
		{name: "rotate", role: "root", args: []string{"rotate", "timestamp", "--add", "file:keys/spare.json", "--generate"}, first: confirm},
		{name: "rotate --generate", role: "root", args: []string{"rotate", "root", "--add", "piv:serial=15835999;slot=83", "--generate", "--touch-policy", "never"}, then: confirm},
		{name: "add", role: "targets", args: []string{"add", "--target", target, "--name", "x", "--platform", "linux", "--version", "1"}},
		{name: "timestamp", role: "timestamp", args: []string{"timestamp"}},
		{name: "doctor --sign", role: "root", args: []string{"doctor", "--sign"}, fails: exitRefused},
		{name: "sign", role: "root", args: []string{"sign"}, first: confirm},
	}
}

// TestNoCardIsBlockedUnasked enters wrong PINs in every command that asks for one, by
// every way that a PIN can come. The card keeps its last try until the tool has called
// it that and got a typed yes; a right PIN then brings all tries back.
func TestNoCardIsBlockedUnasked(t *testing.T) {
	t.Parallel()
	r := newRootOnCard(t)
	r.must("key", "generate", "piv:serial=15835999;slot=9a", "--touch-policy", "never")
	r.must("key", "generate", "piv:serial=15835999;slot=9d", "--touch-policy", "never")
	if err := makeKeyFile("ed25519", filepath.Join(r.dir, "keys", "spare.json"), "timestamp"); err != nil {
		t.Fatal(err)
	}
	r.must("init", "--root-key", "piv:serial=15835999;slot=9c", "--targets-key", "piv:serial=15835999;slot=9a",
		"--timestamp-key", "piv:serial=15835999;slot=9d")
	// From here on the card's PIN is in no file of the repository.
	r.dropSecrets()
	target := write(t, "x", "hello")
	answers := []string{"no", "", "y", "YES!", "wrong-1"}
	var last asking
	for _, last = range askingCommands(target) {
		if last.name == "sign" {
			r.stage()
		}
		r.provoke(last, answers)
		answers = answers[:1]
	}
	r.block(last)
}

// dropSecrets takes the sources of PINs out of the configuration.
func (r *rootOnCard) dropSecrets() {
	r.Helper()
	name := filepath.Join(r.dir, "fleet-hsm.yaml")
	content, err := os.ReadFile(name)
	if err != nil {
		r.Fatal(err)
	}
	var keep []string
	for line := range strings.Lines(string(content)) {
		if !strings.Contains(line, "secrets") && !strings.Contains(line, "\"piv:serial=15835999\": ") {
			keep = append(keep, line)
		}
	}
	if err := os.WriteFile(name, []byte(strings.Join(keep, "")), 0o644); err != nil {
		r.Fatal(err)
	}
}

// provoke tries wrong PINs until one try is left, and further; then the right one.
func (r *rootOnCard) provoke(c asking, answers []string) {
	r.Helper()
	ways := r.wrongWays(c)
	for i := range 5 {
		way := ways[i%len(ways)]
		if i < 2 && i%2 == 0 {
			r.typed(c, c.failing(), "expect PIV PIN of YubiKey 15835999", "secret wrong-1")
		} else {
			code, said := way.run()
			r.want(c.name+" by "+way.name, c.failing(), code, said)
		}
		if r.card.PINLeft() < 1 {
			r.Fatalf("%s: the card is blocked", c.name)
		}
	}
	if left := r.card.PINLeft(); left != 1 {
		r.Fatalf("%s: %d tries left; it did not ask", c.name, left)
	}
	if c.fails != 0 {
		r.typed(c, c.failing()) // doctor leaves the last try alone
		if left := r.card.PINLeft(); left != 1 {
			r.Fatalf("%s: %d tries left", c.name, left)
		}
		c = asking{name: "timestamp", args: []string{"timestamp"}}
	}
	for _, answer := range answers {
		r.typed(c, c.failing(), "expect ONE try left. This is the last try", "type "+answer)
	}
	if left := r.card.PINLeft(); left != 1 {
		r.Fatalf("%s: %d tries left after an answer that was not yes", c.name, left)
	}
	r.typed(c, exitOK, append([]string{"expect ONE try left. This is the last try", "type yes", "expect 1 try left", "secret " + cardPIN}, c.then...)...)
	if left := r.card.PINLeft(); left != 3 {
		r.Fatalf("%s: %d tries left after the right PIN", c.name, left)
	}
}

// block uses the last try, with a yes, and looks at what the tool then says.
func (r *rootOnCard) block(c asking) {
	r.Helper()
	for range 2 {
		r.typed(c, c.failing(), "expect PIV PIN of YubiKey 15835999", "secret wrong-1")
	}
	r.typed(c, c.failing(), "expect This is the last try: a wrong PIN blocks it, and then only the card's PUK sets a new one",
		"type yes", "expect 1 try left", "secret wrong-1", "expect it is blocked now", "expect A card's PUK sets a new PIN")
	r.typed(c, c.failing(), "expect PIN is blocked", "expect the keys on it are still there")
	if left := r.card.PINLeft(); left != 0 {
		r.Fatalf("%d tries left", left)
	}
}

// wrongWay gives a wrong PIN without a person.
type wrongWay struct {
	name string
	run  func() (int, string)
}

func (r *rootOnCard) wrongWays(c asking) []wrongWay {
	wrong := write(r.T, "wrong", "wrong-2\n")
	args := append([]string{"--no-input"}, c.args...)
	with := func(env string, args ...string) (int, string) {
		cmd := r.tool(r.Context(), r.copy(), args...)
		cmd.Env = append(cmd.Env, env)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if c.name == "sign" {
		return r.wrongWays(asking{name: c.name + ", reviewed", role: c.role, args: append(c.args, "--reviewed", r.reviewed(r.dir))})
	}
	ways := []wrongWay{
		{"--pin-source file", func() (int, string) { return with("", append(args, "--pin-source", "file:"+wrong)...) }},
		{"--pin-source env", func() (int, string) { return with("MY_PIN=wrong-3", append(args, "--pin-source", "env:MY_PIN")...) }},
		{"--pin-source cmd", func() (int, string) { return with("", append(args, "--pin-source", "cmd:echo wrong-4")...) }},
		{"configuration", func() (int, string) {
			file := write(r.T, "with-secret.yaml", "")
			content, err := os.ReadFile(filepath.Join(r.dir, "fleet-hsm.yaml"))
			if err != nil {
				r.Fatal(err)
			}
			content = fmt.Appendf(content, "secrets: {\"piv:serial=15835999\": \"file:%s\"}\n", wrong)
			if err := os.WriteFile(file, content, 0o644); err != nil {
				r.Fatal(err)
			}
			return with("", append(args, "--config", file)...)
		}},
	}
	if c.role != "" {
		ways = append(ways, wrongWay{"environment", func() (int, string) {
			return with("FLEET_"+strings.ToUpper(c.role)+"_PIN=wrong-5", args...)
		}})
	}
	return ways
}

func (r *rootOnCard) want(what string, want, code int, said string) {
	r.Helper()
	if code != want {
		r.Fatalf("%s: exit %d, not %d\n%s", what, code, want, said)
	}
	for _, secret := range []string{cardPIN, "wrong-"} {
		if strings.Contains(said, secret) && !strings.Contains(said, "cmd:echo") {
			r.Fatalf("%s shows a PIN:\n%s", what, said)
		}
	}
}

// typed runs a command at a terminal.
func (r *rootOnCard) typed(c asking, want int, dialogue ...string) {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "fleet-hsm", append([]string{"--path", r.copy()}, c.args...)...)
	cmd.Env = append(append(os.Environ(), secretEnv()...), r.server.Env()...)
	desk := map[string]*deskCard{"blue": r.card}
	_, shown, err := atDesk(cmd, desk, append(append([]string{}, c.first...), dialogue...))
	if shown == "" && err != nil {
		r.Fatalf("%s: %v", c.name, err)
	}
	if code := cmd.ProcessState.ExitCode(); code != want {
		r.Fatalf("%s %q: exit %d, not %d\n%s", c.name, dialogue, code, want, shown)
	}
}
