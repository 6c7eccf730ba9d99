//go:build cgo && linux

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// TestDaily runs testdata/daily, the commands of quiet days: list, promote, remove,
// gc, status, migrate. There are the commands of TestScript, and besides
//
//	web VAR DIR           serve DIR/repository; its URL is in $VAR
//	agentfrom NAME DIR N  agent NAME, new, pinned to N.root.json, follows DIR/repository
//	softhsm               a SoftHSM token "fleet": $MODULE, $HSM_PIN (a file)
//	yubikey SERIAL        a YubiKey that is touched as soon as it blinks
//	screen FILE PROGRAM.. run it with a terminal as its output, which goes to FILE
func TestDaily(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	cmds := scriptCommands()
	for name, f := range map[string]func(*testscript.TestScript, []string){
		"web": cmdWeb, "agentfrom": cmdAgentFrom, "softhsm": cmdSoftHSM, "yubikey": cmdYubiKey, "screen": cmdScreen,
	} {
		cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(ts, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "daily"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Values[locksKey{}] = map[string]*os.File{}
			return nil
		},
		Cmds: cmds,
	})
}

func cmdWeb(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "web VAR DIR")
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(ts.MkAbs(args[1]), "repository"))))
	ts.Defer(srv.Close)
	ts.Setenv(args[0], srv.URL)
}

func cmdAgentFrom(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "agentfrom NAME DIR N")
	bin, err := clients()
	ts.Check(err)
	web := filepath.Join(ts.MkAbs(args[1]), "repository")
	srv := httptest.NewServer(http.FileServer(http.Dir(web)))
	defer srv.Close()
	cmd := exec.Command(filepath.Join(bin, "fleetclient"), "--url", srv.URL, "--state", ts.MkAbs(filepath.Join(".agents", args[0])),
		"--root", filepath.Join(web, args[2]+".root.json"), "all")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	_, _ = ts.Stdout().Write(out.Bytes())
	if err != nil {
		ts.Fatalf("agent %s from root v%s refuses: %v\n%s", args[0], args[2], err, errOut.String())
	}
}

func cmdSoftHSM(ts *testscript.TestScript, _ []string) {
	tok, err := softhsm.Make(ts.MkAbs("hsm"), softhsm.Options{})
	ts.Check(err)
	name, value, _ := strings.Cut(tok.Env(), "=")
	ts.Setenv(name, value)
	ts.Setenv("MODULE", tok.Module)
	ts.Setenv("HSM_PIN", tok.PINFile())
}

func cmdYubiKey(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "yubikey SERIAL")
	ca, err := card.NewCA("")
	ts.Check(err)
	desk, server, err := newDesk(ca, []string{"one=" + args[0]})
	ts.Check(err)
	ts.Defer(func() { _ = server.Close() })
	desk["one"].SetTouch(card.TouchAuto, 0)
	for _, kv := range server.Env() {
		name, value, _ := strings.Cut(kv, "=")
		ts.Setenv(name, value)
	}
}

func cmdScreen(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "screen FILE PROGRAM ARG...")
	t, err := openTerminal()
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "NO_COLOR", "TERM"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdout, cmd.Stderr = t.slave, t.slave
	err = cmd.Run()
	shown := t.close()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(shown), 0o600))
	ts.Check(err)
}
