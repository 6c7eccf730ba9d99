//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// TestScript runs testdata/script. Besides testscript's own commands there are:
//
//	exit N PROGRAM ARG...        run it and want exit code N
//	tty DIALOGUE N PROGRAM ...   the same at a terminal (see terminal.step); what the
//	                             terminal showed is in the file ttyout
//	repo LAYOUT DIR              a new repository: consistent, flat or fleetctl
//	keyfile ALGORITHM FILE ROLE  a key file under the role's passphrase
//	snapshot DIR, unchanged DIR  nothing below DIR was written in between
//	agent NAME DIR               an agent of Fleet's follows DIR/repository and accepts
//	                             every target; its answer is on stdout
//	everybody DIR                the same in its three roles: saw the first history (of
//	                             the first call), pinned to the oldest root, fresh
//	json FILE PATH [VALUE]       a value of JSON, such as error.code
//	edit FILE OLD NEW            replace a text in a file
//	alone FILE..., linked A B    inodes
//	mode FILE MODE               permission bits
//	fifo FILE, bytes FILE N      make files
//	binary PLATFORM FILE [TEXT]  an executable for a platform
//	targz FILE NAME=SOURCE...    an archive (NAME=> is a link)
//	hold DIR, release DIR        keep the lock of a repository
//	serve DIR                    serve DIR/repository; its address is in $URL
//	touching FILE COMMAND...     run a script command while somebody writes to FILE
//
// What older versions wrote is in $OLDER, by commit. The passphrases of all roles are in the environment. No run may show one.
func TestScript(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	older, err := filepath.Abs(filepath.Join("testdata", "older"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
			env.Setenv("OLDER", older)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Values[locksKey{}] = map[string]*os.File{}
			return nil
		},
		Cmds: scriptCommands(),
	})
}

type locksKey struct{}

func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	m := map[string]func(*testscript.TestScript, []string){
		"exit": cmdExit, "tty": cmdTTY, "repo": cmdRepo, "keyfile": cmdKeyfile, "snapshot": cmdSnapshot,
		"unchanged": cmdUnchanged, "json": cmdJSON, "edit": cmdEdit, "alone": cmdAlone, "linked": cmdLinked,
		"mode": cmdMode, "fifo": cmdFIFO, "bytes": cmdBytes, "hold": cmdHold, "release": cmdRelease, "touching": cmdTouching,
		"serve": cmdServeFolder, "binary": cmdBinary, "everybody": cmdEverybody, "targz": cmdTarGz,
	}
	out := map[string]func(*testscript.TestScript, bool, []string){"agent": cmdAgent}
	for name, f := range m {
		out[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s takes no !", name)
			}
			f(ts, args)
		}
	}
	return out
}

func need(ts *testscript.TestScript, args []string, n int, usage string) {
	if len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func codeOf(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

func wantCode(ts *testscript.TestScript, text string, got int) {
	want, err := strconv.Atoi(text)
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit %d, not %d", got, want)
	}
}

func cmdExit(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "exit N PROGRAM ARG...")
	code := codeOf(ts, ts.Exec(args[1], args[2:]...))
	hides(ts, ts.ReadFile("stdout")+ts.ReadFile("stderr"))
	wantCode(ts, args[0], code)
}

func hides(ts *testscript.TestScript, output string) {
	if s := shows(output); s != "" {
		ts.Fatalf("the output shows a secret (%s)", s)
	}
}

func cmdTTY(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "tty DIALOGUE N PROGRAM ARG...")
	_, err := typed(ts, args[0], args[2:])
	wantCode(ts, args[1], codeOf(ts, err))
}

// typed runs a command at a terminal, and gives what it says beside it.
func typed(ts *testscript.TestScript, file string, args []string) (said string, err error) {
	var dialogue []string
	for line := range strings.Lines(ts.ReadFile(file)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			dialogue = append(dialogue, line)
		}
	}
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, args[0])); err == nil {
			path = filepath.Join(dir, args[0])
			break
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	for _, kv := range secretEnv() {
		// What a script has emptied stays empty.
		name, _, _ := strings.Cut(kv, "=")
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	shown, err := atTerminal(cmd, dialogue)
	_, _ = ts.Stdout().Write(out.Bytes())
	_, _ = ts.Stderr().Write(errOut.Bytes())
	ts.Check(os.WriteFile(ts.MkAbs("ttyout"), []byte(shown), 0o600))
	ts.Logf("[terminal]\n%s", shown)
	hides(ts, out.String()+errOut.String()+shown)
	return errOut.String(), err
}

func cmdRepo(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "repo LAYOUT DIR")
	from, err := template(args[0])
	ts.Check(err)
	ts.Check(copyTree(from, ts.MkAbs(args[1])))
}

// rolesPassphrase answers for a test that makes key files.
type rolesPassphrase struct{ role string }

func (p rolesPassphrase) Secret(context.Context, signer.SecretRequest) (signer.Secret, error) {
	return signer.NewSecret([]byte(secretOf(p.role))), nil
}

func (rolesPassphrase) Touch(context.Context, signer.TouchRequest) func() { return func() {} }

func (rolesPassphrase) Insert(context.Context, signer.InsertRequest) error {
	return signer.ErrNoTerminal
}

// makeKeyFile makes a key file, or adds a key to one.
func makeKeyFile(algorithm, path, role string) error {
	ref := signer.Ref{URI: signer.FileURI(path), Roles: []string{role}}
	_, err := cheapFiles().Generate(context.Background(), ref,
		signer.GenerateOptions{Algorithm: signer.Algorithm(algorithm)}, rolesPassphrase{role})
	return err
}

func cmdKeyfile(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "keyfile ALGORITHM FILE ROLE")
	ts.Check(makeKeyFile(args[0], ts.MkAbs(args[1]), args[2]))
}

func cmdJSON(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "json FILE PATH [VALUE]")
	var v any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.UseNumber()
	ts.Check(dec.Decode(&v))
	if dec.More() {
		ts.Fatalf("more than one JSON value")
	}
	for _, step := range strings.Split(args[1], ".") {
		next, ok := member(v, step)
		if !ok {
			ts.Fatalf("no %q (of %s) in the JSON", step, args[1])
		}
		v = next
	}
	if len(args) > 2 && fmt.Sprint(v) != args[2] {
		ts.Fatalf("%s is %v, not %s", args[1], v, args[2])
	}
}

func member(v any, step string) (any, bool) {
	if list, ok := v.([]any); ok {
		n, err := strconv.Atoi(step)
		if err != nil || n < 0 || n >= len(list) {
			return nil, false
		}
		return list[n], true
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	next, ok := m[step]
	return next, ok
}

func cmdHold(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "hold DIR")
	f, err := holdLock(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Value(locksKey{}).(map[string]*os.File)[args[0]] = f
	ts.Defer(func() { _ = f.Close() })
}

// holdLock keeps the lock of a repository, as another command would.
func holdLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "pending", "lock"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteString("rotate (process 4711)"); err != nil {
		return nil, err
	}
	return f, unix.Flock(int(f.Fd()), unix.LOCK_EX)
}

func cmdRelease(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "release DIR")
	ts.Check(ts.Value(locksKey{}).(map[string]*os.File)[args[0]].Close())
}
