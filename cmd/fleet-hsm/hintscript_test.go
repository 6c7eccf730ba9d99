//go:build cgo && linux

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fleet-hsm/fleet-hsm/softhsm/quirks"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// TestHintScripts runs testdata/hints: the ways out of refusals that take a card, a
// token, a store or more than one state. There are the commands of TestScript, TestDaily,
// TestOnline and TestYubiKey, and besides
//
//	refused KIND ARG...       fleet-hsm ARG... is refused, with that kind and a hint
//	says TEXT                 the hint names TEXT, which the person then heeds
//	hinted COMMAND [ARG...]   the hint names COMMAND ("fleet-hsm discard"); run with ARG it
//	                          ends with 0
//	payload [ARG...]          $HASH, and $HASH2, is what "fleet-hsm review ARG..." prints
//	leads ARG...              fleet-hsm ARG... ends with 0: the way was that long
//	versionless DIR           the targets of a flat repository carry no version
//	keyfiles N DIR ROLE       N key files
//	meanwhile ARG...          fleet-hsm ARG... runs when $BEHIND_RACED is to get a timestamp
//	quirky, quirks LINE...    a SoftHSM behind a module with quirks, $QUIRKY, and which
//
// Whatever stands between them is done by a person. From refused to leads it takes three
// commands of ours at most, and the last is the refused one, with other arguments perhaps,
// unless the hint names another to go on with. A line "refused KIND sh SCRIPT", where the
// tool does not run by itself, gives --json to it; "refused KIND tty DIALOGUE ARG..." and
// "leads tty DIALOGUE ARG..." run it at a terminal.
func TestHintScripts(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	srv := s3test.Start(t)
	behind, meanwhile := map[string]*s3test.Proxy{}, &otherMachine{}
	for name, f := range map[string]s3test.Fault{
		"LOGIN": s3test.LoginPage(), "NO_CONDITIONS": s3test.RefusedConditions(), "NO_ETAGS": s3test.NoETags(), "DAMAGED": s3test.Damaged(),
		"FORBIDDEN": answersPuts("forbidden", http.StatusForbidden, "AccessDenied"), "RACED": meanwhile.fault(),
		"BROKEN": answersPuts("broken", http.StatusBadRequest, "InvalidArgument"), "ELSEWHERE": answersPuts("elsewhere", http.StatusBadRequest, "AuthorizationHeaderMalformed"),
	} {
		behind[name] = srv.Behind(t, f)
	}
	cmds := scriptCommands()
	for name, f := range map[string]func(*testscript.TestScript, []string){
		"cards": cmdCards, "card": cmdCard, "desk": cmdDesk, "denied": cmdDenied, "softhsm": cmdSoftHSM, "serve": cmdServe, "forge": cmdForge,
		"versionless": cmdVersionless, "keyfiles": cmdKeyfiles, "quirky": cmdQuirky, "quirks": cmdQuirks, "meanwhile": meanwhile.set,
		"payload": cmdPayload, "refused": cmdRefused, "says": cmdSays, "hinted": cmdHinted, "leads": cmdLeads,
	} {
		cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(ts, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "hints"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
			env.Vars = append(env.Vars, s3test.Env()...)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "remembered"))
			env.Setenv("BUCKET", srv.URL(filepath.Base(env.WorkDir)))
			for name, p := range behind {
				env.Setenv("BEHIND_"+name, p.URL(filepath.Base(env.WorkDir)))
				env.Setenv("CA", p.CAFile)
			}
			env.Values[locksKey{}] = map[string]*os.File{}
			env.Values[deskKey{}] = &scriptDesk{cards: map[string]*deskCard{}}
			env.Values[wayKey{}] = &way{}
			return nil
		},
		Cmds: cmds,
	})
}

// answersPuts is a store that writes nothing, and says this instead.
func answersPuts(name string, status int, code string) s3test.Fault {
	return s3test.Fault{Name: name, Answer: func(r *http.Request) *http.Response {
		if r.Method != http.MethodPut {
			return nil
		}
		return s3test.Says(status, code, "")
	}}
}

// quirkyModule is built once; a script gets a copy, which stands before its SoftHSM.
var quirkyModule = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "quirks")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	return quirks.Build(dir)
})

func cmdQuirky(ts *testscript.TestScript, _ []string) {
	cmdSoftHSM(ts, nil)
	built, err := quirkyModule()
	ts.Check(err)
	lib, err := os.ReadFile(built)
	ts.Check(err)
	ts.Setenv("QUIRKY", ts.MkAbs("quirks.so"))
	ts.Check(os.WriteFile(ts.Getenv("QUIRKY"), lib, 0o755))
	cmdQuirks(ts, nil)
}

func cmdQuirks(ts *testscript.TestScript, lines []string) {
	text := "real=" + ts.Getenv("MODULE") + "\n" + strings.Join(lines, "\n") + "\n"
	ts.Check(os.WriteFile(ts.Getenv("QUIRKY")+".conf", []byte(text), 0o600))
}

// otherMachine publishes while the store is about to take a timestamp of ours.
type otherMachine struct{ publish atomic.Pointer[func()] }

func (o *otherMachine) set(ts *testscript.TestScript, args []string) {
	f := func() { ts.Check(ts.Exec("fleet-hsm", args...)) }
	o.publish.Store(&f)
}

func (o *otherMachine) fault() s3test.Fault {
	return s3test.Fault{Name: "raced", Answer: func(r *http.Request) *http.Response {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/timestamp.json") {
			if f := o.publish.Swap(nil); f != nil {
				(*f)()
			}
		}
		return nil
	}}
}

type wayKey struct{}

// way is how far a script is on the way out of a refusal.
type way struct {
	command string // the refused one's first word
	hint    string
	steps   int
}

func (w *way) begins(command string) {
	if w.command == "" {
		w.command = command
	}
}

func (w *way) step(ts *testscript.TestScript) {
	if w.hint == "" {
		ts.Fatalf("nothing was refused before this")
	}
	if w.steps++; w.steps > 3 {
		ts.Fatalf("more than three steps")
	}
}

func cmdRefused(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "refused KIND ARG...")
	w := ts.Value(wayKey{}).(*way)
	var said string
	var err error
	switch {
	case args[1] == "tty":
		said, err = typed(ts, args[2], append([]string{"fleet-hsm", "--json"}, args[3:]...))
		w.begins(args[3])
	case args[1] == "sh":
		err = ts.Exec("sh", "-c", args[2])
		said = ts.ReadFile("stderr")
	default:
		err = ts.Exec("fleet-hsm", append([]string{"--json"}, args[1:]...)...)
		said = ts.ReadFile("stderr")
		w.begins(args[1])
	}
	code := codeOf(ts, err)
	hides(ts, said)
	var v struct {
		Error struct{ Kind, Hint string } `json:"error"`
	}
	for line := range strings.Lines(said) {
		_ = json.Unmarshal([]byte(line), &v)
	}
	if code == 0 || v.Error.Kind != args[0] || v.Error.Hint == "" {
		ts.Fatalf("exit %d, kind %q, hint %q", code, v.Error.Kind, v.Error.Hint)
	}
	ts.Logf("hint: %s", v.Error.Hint)
	w.hint = v.Error.Hint
}

var sha256Member = later(`"sha256": ?"([0-9a-f]{64})"`)

func cmdPayload(ts *testscript.TestScript, args []string) {
	ts.Check(ts.Exec("fleet-hsm", append([]string{"--json", "review"}, args...)...))
	for i, m := range sha256Member().FindAllStringSubmatch(ts.ReadFile("stdout"), 2) {
		ts.Setenv([]string{"HASH", "HASH2"}[i], m[1])
	}
}

func cmdSays(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "says TEXT")
	if w := ts.Value(wayKey{}).(*way); !strings.Contains(w.hint, args[0]) {
		ts.Fatalf("the hint is %q", w.hint)
	}
}

func cmdHinted(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "hinted COMMAND [ARG...]")
	w := ts.Value(wayKey{}).(*way)
	w.step(ts)
	if !strings.Contains(w.hint, `"`+args[0]+`"`) {
		ts.Fatalf("the hint is %q", w.hint)
	}
	words := strings.Fields(args[0])
	words = slices.DeleteFunc(words, func(s string) bool { return s == "file:PATH" || strings.ToUpper(s) == s && !strings.HasPrefix(s, "-") })
	wantCode(ts, "0", codeOf(ts, ts.Exec(words[0], append(words[1:], args[1:]...)...)))
}

func cmdLeads(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "leads ARG...")
	w := ts.Value(wayKey{}).(*way)
	w.step(ts)
	if args[0] == "tty" || args[0] == "sh" {
		var err error
		if args[0] == "sh" {
			err = ts.Exec("sh", "-c", args[1])
		} else {
			_, err = typed(ts, args[1], append([]string{"fleet-hsm"}, args[2:]...))
		}
		wantCode(ts, "0", codeOf(ts, err))
		*w = way{}
		return
	}
	// A change that cannot be committed is made again by the command that made it; what is
	// staged ends with commit, as sign says.
	if args[0] != w.command && w.command != "" && w.command != "commit" && args[0] != "commit" && !strings.Contains(w.hint, `"fleet-hsm `+args[0]) {
		ts.Fatalf("%q was refused, and the hint names no %q", w.command, args[0])
	}
	wantCode(ts, "0", codeOf(ts, ts.Exec("fleet-hsm", args...)))
	*w = way{}
}

// scriptedKinds are the kinds of refusal that a script leads out of.
func scriptedKinds(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "hints", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	var kinds []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var open []string
		script, _, _ := strings.Cut(string(data), "\n-- ")
		for line := range strings.Lines(script) {
			switch words := strings.Fields(line); {
			case len(words) == 0:
			case words[0] == "refused":
				open = append(open, words[1])
			case words[0] == "leads":
				kinds, open = append(kinds, open...), nil
			}
		}
		if len(open) > 0 {
			t.Errorf("%s: nothing leads out of %q", file, open)
		}
	}
	return kinds
}
