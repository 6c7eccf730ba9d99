//go:build cgo && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// TestYubiKeyDocument types every command of docs/yubikey.md, in order, into one shell
// at a terminal, with software cards on the desk and somebody who answers what is asked.
// Between commands, "<!-- desk: card red remove -->" is done. Fleet's client follows.
func TestYubiKeyDocument(t *testing.T) {
	t.Parallel()
	ca, err := card.NewCA("")
	if err != nil {
		t.Fatal(err)
	}
	desk, server, err := newDesk(ca, []string{"blue=15835999", "red=15836000", "green=15836001", "violet=15836002"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	person := &visitor{desk: desk, agent: func() error {
		_, stderr, err := follow(filepath.Join(dir, "updates"), filepath.Join(dir, "agent"))
		if err != nil {
			return fmt.Errorf("the agent refuses: %w\n%s", err, stderr)
		}
		return nil
	}}
	cmd := exec.Command("bash", "-eu", "-c", yubikeyScript(t))
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PS1="), server.Env()...)
	shown, err := person.attend(cmd)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	for _, want := range []string{"published: root v1", "published: root v2", "attestation-good"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q does not show:\n%s", want, shown)
		}
	}
	keptTerminal(t, "yubikey.txt", "Root on YubiKeys: the commands of docs/yubikey.md, typed at a terminal. PINs are not shown.", shown, map[string]string{dir: "/srv"})
	for _, c := range desk {
		if c.PINLeft() != 3 {
			t.Errorf("card %d has %d PIN tries left", c.Serial(), c.PINLeft())
		}
	}
}

// yubikeyScript makes one script of the document's commands. What is to be done at the
// desk is said on the terminal, and waits for Enter.
func yubikeyScript(t *testing.T) string {
	t.Helper()
	blocks := fenced(t, "yubikey.md")
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "yubikey.md"))
	if err != nil {
		t.Fatal(err)
	}
	// With job control every command leads a process group, and the tool keeps the
	// terminal (see tool in main_test.go).
	script := "set -m; mkdir -p updates; echo 'attestation-ca: ../ca.pem' > updates/fleet-hsm.yaml\nmkdir() { :; }\n"
	rest := string(data)
	for _, b := range blocks {
		before, after, found := strings.Cut(rest, "```sh\n"+b)
		if !found {
			t.Fatalf("a block that is not in the document: %q", b)
		}
		for _, m := range regexp.MustCompile(`<!-- desk: (.*) -->`).FindAllStringSubmatch(before, -1) {
			script += fmt.Sprintf("echo '@%s@'; read -r _\n", m[1])
		}
		script += echoed(b)
		rest = after
		if strings.Contains(b, "verify") {
			script += "echo '@agent@'; read -r _\n"
		}
	}
	return script
}

// visitor is a person with cards who does what the terminal asks for.
type visitor struct {
	desk  map[string]*deskCard
	agent func() error
	last  string // what was typed as a secret
}

// questions are what the tool asks, and what to do then.
var questions = later(`(?s)` + strings.Join([]string{
	`@(?P<desk>[^@\n]*)@\r?\n`,
	`(?P<kind>New PIV PIN|New PUK|PIV PIN) of YubiKey (?P<serial>\d+)[^\n]*: `,
	`(?P<again>The same again: )`,
	`(?P<pass>[Pp]assphrase of)[^\n]*: `,
	`(?P<yes>Type yes to go on: )`,
	`(?P<insert>Insert) [^\n]*and press Enter[^\n]*: `,
}, "|"))

// attend runs a command at a terminal and answers it to its end.
func (v *visitor) attend(cmd *exec.Cmd) (string, error) {
	t, err := openTerminal()
	if err != nil {
		return "", err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.slave, t.slave, t.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		return t.close(), err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(patience)
	for done := 0; ; {
		select {
		case err := <-ended:
			return t.close(), err
		case <-deadline:
			_ = cmd.Process.Kill()
			<-ended
			return t.close(), fmt.Errorf("it does not end")
		case <-time.After(5 * time.Millisecond):
		}
		text := t.text()[done:]
		at := questions().FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		done += at[1]
		if err := v.answer(t, questions(), text, at); err != nil {
			_ = cmd.Process.Kill()
			<-ended
			return t.close(), err
		}
	}
}

func (v *visitor) answer(t *terminal, re *regexp.Regexp, text string, at []int) error {
	group := func(name string) string {
		i := 2 * re.SubexpIndex(name)
		if at[i] < 0 {
			return ""
		}
		return text[at[i]:at[i+1]]
	}
	switch {
	case group("desk") == "agent":
		if err := v.agent(); err != nil {
			return err
		}
		return t.step("type ")
	case group("desk") != "":
		if err := onDesk(v.desk, strings.Fields(group("desk"))[1:]); err != nil {
			return err
		}
		return t.step("type ")
	case group("kind") == "New PUK":
		v.last = "puk" + group("serial")[3:]
	case group("serial") != "":
		v.last = "pin" + group("serial")[3:]
	case group("pass") != "":
		v.last = "a long passphrase"
	case group("yes") != "":
		return t.step("type yes")
	case group("insert") != "":
		return t.step("type ")
	}
	return t.step("secret " + v.last)
}
