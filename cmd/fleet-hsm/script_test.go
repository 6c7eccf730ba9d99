package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
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
// The passphrases of all roles are in the environment. No run may show one.
func TestScript(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
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
		"serve": cmdServeFolder, "binary": cmdBinary, "targz": cmdTarGz,
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
	var dialogue []string
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			dialogue = append(dialogue, line)
		}
	}
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, args[2])); err == nil {
			path = filepath.Join(dir, args[2])
			break
		}
	}
	cmd := exec.Command(path, args[3:]...)
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
	wantCode(ts, args[1], codeOf(ts, err))
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
	_, err := file.New("").Generate(context.Background(), ref,
		signer.GenerateOptions{Algorithm: signer.Algorithm(algorithm)}, rolesPassphrase{role})
	return err
}

func cmdKeyfile(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "keyfile ALGORITHM FILE ROLE")
	ts.Check(makeKeyFile(args[0], ts.MkAbs(args[1]), args[2]))
}

// treeOf describes everything below dir but the lock, which is no data, and pending/
// itself, which comes with it.
func treeOf(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		st, err := e.Info()
		isLock := strings.HasSuffix(p, filepath.Join("pending", "lock"))
		if err != nil || rel == "pending" || isLock {
			return err
		}
		line := fmt.Sprintf("%s %s", rel, st.Mode())
		if st.Mode().IsRegular() {
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", st.Size(), sha256.Sum256(content))
		}
		b.WriteString(line + "\n")
		return nil
	})
	return b.String(), err
}

func snapshotFile(ts *testscript.TestScript, dir string) string {
	return ts.MkAbs(filepath.Join(".tmp", "snapshot-"+strings.ReplaceAll(dir, "/", "_")))
}

func cmdSnapshot(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "snapshot DIR")
	tree, err := treeOf(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(snapshotFile(ts, args[0]), []byte(tree), 0o600))
}

func cmdUnchanged(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "unchanged DIR")
	now, err := treeOf(ts.MkAbs(args[0]))
	ts.Check(err)
	if before := ts.ReadFile(snapshotFile(ts, args[0])); before != now {
		ts.Fatalf("%s was changed:\n%s", args[0], difference(before, now))
	}
}

func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "+ "+line)
		}
	}
	return strings.Join(out, "\n")
}

// follow lets the agent whose state is in a folder poll a repository and check every
// target. A new agent is pinned to the oldest root.
func follow(repository, state string) (stdout, stderr string, err error) {
	return followWith("fleetclient", repository, state)
}

// followWith is follow for the client of any of the programs in compat/.
func followWith(client, repository, state string) (stdout, stderr string, err error) {
	bin, err := clients()
	if err != nil {
		return "", "", err
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(repository, "repository"))))
	defer srv.Close()
	cmd := exec.Command(filepath.Join(bin, client), "--url", srv.URL, "--state", state,
		"--root", filepath.Join(repository, "repository", "1.root.json"), "all")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

func cmdAgent(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, args, 2, "agent NAME DIR")
	stdout, stderr, err := follow(ts.MkAbs(args[1]), ts.MkAbs(filepath.Join(".agents", args[0])))
	_, _ = ts.Stdout().Write([]byte(stdout))
	_, _ = ts.Stderr().Write([]byte(stderr))
	if neg && err == nil {
		ts.Fatalf("the agent accepts it")
	}
	if !neg && err != nil {
		ts.Fatalf("the agent refuses: %v\n%s", err, stderr)
	}
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

func cmdEdit(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "edit FILE OLD NEW")
	content := ts.ReadFile(args[0])
	if !strings.Contains(content, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(content, args[1], args[2])), st.Mode()))
}

func statOf(ts *testscript.TestScript, name string) syscall.Stat_t {
	var st syscall.Stat_t
	ts.Check(syscall.Stat(ts.MkAbs(name), &st))
	return st
}

func cmdAlone(ts *testscript.TestScript, args []string) {
	for _, name := range args {
		if n := statOf(ts, name).Nlink; n != 1 {
			ts.Fatalf("%s shares its inode with %d other names", name, n-1)
		}
	}
}

func cmdLinked(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "linked A B")
	if statOf(ts, args[0]).Ino != statOf(ts, args[1]).Ino {
		ts.Fatalf("%s and %s are two inodes", args[0], args[1])
	}
}

func cmdMode(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "mode FILE MODE")
	if got := fmt.Sprintf("%04o", statOf(ts, args[0]).Mode&0o777); got != args[1] {
		ts.Fatalf("%s has mode %s, not %s", args[0], got, args[1])
	}
}

func cmdFIFO(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "fifo FILE")
	ts.Check(unix.Mkfifo(ts.MkAbs(args[0]), 0o644))
}

func cmdBytes(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "bytes FILE N")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte{'x', 0, 0xff, '\n'}, n/4+1)[:n], 0o644))
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

func cmdServeFolder(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "serve DIR")
	srv := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(filepath.Join(args[0], "repository")))))
	ts.Defer(srv.Close)
	ts.Setenv("URL", srv.URL)
}

// cmdTouching runs `exit` while the modification time of a file never rests.
func cmdTouching(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "touching FILE N PROGRAM ARG...")
	name := ts.MkAbs(args[0])
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := int64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
				at := time.Unix(1_000_000_000+i, 0)
				_ = os.Chtimes(name, at, at)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	cmdExit(ts, args[1:])
}
