//go:build cgo && linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// TestYubiKey runs testdata/yubikey: the commands of TestScript, and besides
//
//	cards NAME=SERIAL[/FIRMWARE][+complexity]...
//	                                 YubiKeys, plugged in; their attestations lead to ca.pem.
//	                                 SERIAL "other" is a card of another vendor; "canokey" and
//	                                 "pivapplet" are those
//	denied daemon|cards|nothing      what polkit refuses from now on
//	card NAME VERB [ARG]             see deskCard.do
//	desk DIALOGUE N PROGRAM ARG...   like tty, with everything that the tool says on the
//	                                 terminal, and lines of the form "card NAME VERB [ARG]"
//	                                 in the dialogue
//
// No line that was typed as a secret may show on the terminal.
func TestYubiKey(t *testing.T) {
	t.Parallel()
	yubikeyScripts(t, testscript.Params{Dir: filepath.Join("testdata", "yubikey")}, false)
}

// TestYubiKeyDaemon plays the ceremony behind the real PC/SC daemon.
func TestYubiKeyDaemon(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a pcscd of its own needs root, and CI must run this test")
		}
		t.Skip("a pcscd of its own needs root")
	}
	yubikeyScripts(t, testscript.Params{Files: []string{filepath.Join("testdata", "yubikey", "ceremony.txtar")}}, true)
}

func yubikeyScripts(t *testing.T, p testscript.Params, daemon bool) {
	t.Helper()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	cmds := scriptCommands()
	for name, f := range map[string]func(*testscript.TestScript, []string){"cards": cmdCards, "card": cmdCard, "desk": cmdDesk, "denied": cmdDenied} {
		cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(ts, args) }
	}
	p.RequireExplicitExec, p.RequireUniqueNames, p.Cmds = true, true, cmds
	p.Setup = func(env *testscript.Env) error {
		env.Vars = append(env.Vars, secretEnv()...)
		env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
		env.Values[locksKey{}] = map[string]*os.File{}
		env.Values[deskKey{}] = &scriptDesk{cards: map[string]*deskCard{}, real: daemon}
		return nil
	}
	testscript.Run(t, p)
}

type deskKey struct{}

// scriptDesk is the desk of one script.
type scriptDesk struct {
	cards map[string]*deskCard
	// real: the cards are to be behind the real PC/SC daemon, which takes a moment to
	// see that one comes or goes.
	real   bool
	daemon *pcsc.Daemon // that runs
	server *pcsc.Server // stands in for it
}

// settle waits until the daemon, if there is one, has noticed what is on the desk, and
// looks whether the tool sees the same.
func (d *scriptDesk) settle(ts *testscript.TestScript) {
	if d.daemon == nil {
		return
	}
	ts.Check(d.daemon.Settled())
	cmd := exec.Command("fleet-hsm", "token", "list", "piv:")
	cmd.Dir, cmd.Env = ts.MkAbs("."), deskEnv(ts)
	list, err := cmd.Output()
	ts.Check(err)
	for name, c := range d.cards {
		if strings.Contains(string(list), fmt.Sprintf("piv:serial=%d\n", c.Serial())) != c.Present() {
			ts.Fatalf("card %s is there: %v; the tool lists:\n%s", name, c.Present(), list)
		}
	}
}

// A slow person touches a card well after the tool reminds them, and well
// before the card gives up, on a busy machine too.
const (
	touchReminder = 200 * time.Millisecond // package prompt has it
	slowTouch     = 5 * touchReminder
	touchLimit    = 4 * time.Second
)

// deskCard is a card in front of the person.
type deskCard struct{ *card.Card }

// newDesk makes cards and plugs them into a server of their own.
func newDesk(ca *card.CA, names []string) (map[string]*deskCard, *pcsc.Server, error) {
	desk, cards, err := newCards(ca, names)
	if err != nil {
		return nil, nil, err
	}
	server, err := pcsc.Serve(cards...)
	return desk, server, err
}

func newCards(ca *card.CA, names []string) (desk map[string]*deskCard, cards []*card.Card, err error) {
	desk = map[string]*deskCard{}
	for _, spec := range names {
		name, what, ok := strings.Cut(spec, "=")
		what, complexity := strings.CutSuffix(what, "+complexity")
		serial, firmware, _ := strings.Cut(what, "/")
		cfg, err := cardOf(serial)
		if err != nil || !ok {
			return nil, nil, fmt.Errorf("%q is not NAME=SERIAL", spec)
		}
		cfg.CA, cfg.TouchTimeout = ca, touchLimit
		if complexity {
			cfg.Quirks |= card.PINComplexity
		}
		if firmware != "" {
			if _, err := fmt.Sscanf(firmware, "%d.%d.%d", &cfg.Firmware[0], &cfg.Firmware[1], &cfg.Firmware[2]); err != nil {
				return nil, nil, err
			}
		}
		c, err := card.New(cfg)
		if err != nil {
			return nil, nil, err
		}
		desk[name] = &deskCard{c}
		cards = append(cards, c)
	}
	return desk, cards, nil
}

// cardOf says what card a serial number, or a name in its place, means.
func cardOf(serial string) (card.Config, error) {
	switch serial {
	case "other":
		return card.Config{OtherVendor: true, Reader: "ACME Card Reader"}, nil
	case "canokey":
		return card.CanoKey(5550001), nil
	case "pivapplet":
		return card.PivApplet(), nil
	}
	n, err := strconv.ParseUint(serial, 10, 32)
	return card.Config{Serial: uint32(n)}, err
}

// cmdDenied has the stand-in for the daemon refuse what polkit would.
func cmdDenied(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "denied daemon|cards|nothing")
	what, ok := map[string]pcsc.Denial{"daemon": pcsc.DenyDaemon, "cards": pcsc.DenyCards, "nothing": pcsc.DenyNothing}[args[0]]
	if !ok {
		ts.Fatalf("denied %q?", args[0])
	}
	ts.Value(deskKey{}).(*scriptDesk).server.SetDenied(what)
}

// do is what hands do, and what is looked at:
//
//	insert, remove       plug it in, pull it out
//	touch                wait until it blinks, then touch it
//	touched-by WHO       from now on: auto (at once), slow (after the reminder), hand, nobody
//	miss                 the next touch does not come
//	remove-after N       it leaves after N more commands
//	wrong N              its next N signatures are wrong
//	busy N               the next N connections meet another program
//	tries PIN PUK        want so many tries left
func (c *deskCard) do(verb, arg string) error {
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "insert":
		c.Insert()
	case "remove":
		c.Remove()
	case "touch":
		return await("the card to blink", func() bool { return c.WaitingForTouch() && c.Touch() })
	case "touched-by":
		who, ok := map[string]card.Touch{"auto": card.TouchAuto, "slow": card.TouchAuto, "hand": card.TouchByHand, "nobody": card.TouchNobody}[arg]
		if !ok {
			return fmt.Errorf("nobody is called %q", arg)
		}
		delay := time.Duration(0)
		if arg == "slow" {
			delay = slowTouch
		}
		c.SetTouch(who, delay)
	case "miss":
		c.MissTouches(1)
	case "remove-after":
		c.RemoveAfter(n)
	case "wrong":
		c.SetWrongSignatures(n)
	case "busy":
		c.SetBusy(n)
	case "tries":
		if have := fmt.Sprintf("%d %d", c.PINLeft(), c.PUKLeft()); have != arg {
			return fmt.Errorf("tries left: %s, not %s", have, arg)
		}
	default:
		return fmt.Errorf("%q is no verb", verb)
	}
	return nil
}

func cmdCards(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "cards NAME=SERIAL[/FIRMWARE]...")
	ca, err := card.NewCA("")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca.PEM(), 0o644))
	desk := ts.Value(deskKey{}).(*scriptDesk)
	var cards []*card.Card
	desk.cards, cards, err = newCards(ca, args)
	ts.Check(err)
	var readers interface {
		Env() []string
		Close() error
	}
	if desk.real {
		desk.daemon, err = pcsc.StartPCSCD(cards...)
		readers = desk.daemon
	} else {
		desk.server, err = pcsc.Serve(cards...)
		readers = desk.server
	}
	ts.Check(err)
	ts.Defer(func() { _ = readers.Close() })
	for _, kv := range readers.Env() {
		name, value, _ := strings.Cut(kv, "=")
		ts.Setenv(name, value)
	}
	desk.settle(ts)
}

func cmdCard(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "card NAME VERB [ARG]")
	desk := ts.Value(deskKey{}).(*scriptDesk)
	ts.Check(onDesk(desk.cards, args))
	if args[1] == "insert" || args[1] == "remove" {
		desk.settle(ts)
	}
}

func onDesk(desk map[string]*deskCard, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("card NAME VERB [ARG], not %q", words)
	}
	c, ok := desk[words[0]]
	if !ok {
		return fmt.Errorf("no card is called %q", words[0])
	}
	return c.do(words[1], strings.Join(words[2:], " "))
}

func cmdDesk(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "desk DIALOGUE N PROGRAM ARG...")
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), deskEnv(ts)
	stdout, shown, err := atDesk(cmd, ts.Value(deskKey{}).(*scriptDesk).cards, strings.Split(ts.ReadFile(args[0]), "\n"))
	ts.Check(os.WriteFile(ts.MkAbs("ttyout"), []byte(shown), 0o600))
	_, _ = ts.Stdout().Write([]byte(stdout))
	ts.Logf("[terminal]\n%s", strings.ReplaceAll(shown, "\r", ""))
	hides(ts, stdout+shown)
	wantCode(ts, args[1], codeOf(ts, err))
}

// deskEnv is the environment of the script, as far as the tool looks at it; a desk reads words,
// not colours.
func deskEnv(ts *testscript.TestScript) []string {
	names := []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "SOFTPIV_SOCKET", "PCSCLITE_CSOCK_NAME"}
	for _, kv := range secretEnv() {
		name, _, _ := strings.Cut(kv, "=")
		names = append(names, name)
	}
	env := []string{"NO_COLOR=1"}
	for _, name := range names {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// atDesk runs a command with a terminal that its standard error goes to as well, and
// plays a dialogue.
func atDesk(cmd *exec.Cmd, desk map[string]*deskCard, dialogue []string) (stdout, shown string, err error) {
	t, err := openTerminal()
	if err != nil {
		return "", "", err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, t.slave
	cmd.ExtraFiles = []*os.File{t.slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		return "", t.close(), err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); err = cmd.Wait() }()
	for _, line := range dialogue {
		if serr := t.stepBefore(ended, func() error { return deskStep(t, desk, line) }); serr != nil {
			_ = cmd.Process.Kill()
			<-ended
			return out.String(), "", fmt.Errorf("%q: %w; the terminal shows:\n%s", line, serr, t.close())
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
	}
	shown = t.close()
	for _, line := range dialogue {
		if secret, ok := strings.CutPrefix(line, "secret "); ok && strings.Contains(shown, secret) {
			return out.String(), shown, errors.New("the terminal shows a secret")
		}
	}
	return out.String(), shown, err
}

// stepBefore does a step of a dialogue, and gives up soon when the tool has ended.
func (t *terminal) stepBefore(ended <-chan struct{}, step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	select {
	case err := <-done:
		return err
	case <-ended:
	}
	select {
	case err := <-done: // what was said last may still be on its way
		return err
	case <-time.After(10 * time.Second):
		return errors.New("the tool has ended")
	}
}

func deskStep(t *terminal, desk map[string]*deskCard, line string) error {
	switch words := strings.Fields(line); {
	case len(words) == 0:
		return nil
	case words[0] == "card":
		return onDesk(desk, words[1:])
	}
	return t.step(line)
}
