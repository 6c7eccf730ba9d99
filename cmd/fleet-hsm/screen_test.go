//go:build cgo && linux

package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// screen is a terminal that people use (tmux), with one command in it.
type screen struct {
	t      *testing.T
	socket string
	code   string // a file: the command's exit code
}

// openScreen runs a command in a terminal of so many columns and 24 lines.
func openScreen(t *testing.T, width int, command ...string) *screen {
	t.Helper()
	s := &screen{t, filepath.Join(os.TempDir(), "screen-"+rand.Text()), filepath.Join(t.TempDir(), "code")} // a socket's path is short
	t.Cleanup(func() {
		_ = s.tmux("kill-server").Run()
		_ = os.Remove(s.socket)
	})
	args := []string{"-f", os.DevNull, "start-server", ";", "set", "-g", "history-limit", "20000", ";", "set", "-g", "status", "off", ";",
		"new-session", "-d", "-x", fmt.Sprint(width), "-y", "24", "--", "sh", "-c", `"$@"; echo $? > "$0.new"; mv "$0.new" "$0"; exec cat`, s.code}
	if out, err := s.tmux(append(args, command...)...).CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	return s
}

func (s *screen) tmux(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-u", "-S", s.socket}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8", ownTerminal+"=1")
	return cmd
}

func (s *screen) ask(args ...string) string {
	s.t.Helper()
	out, err := s.tmux(args...).Output()
	if err != nil {
		s.t.Fatalf("tmux %v: %v", args, err)
	}
	return string(out)
}

// lines is what a person sees who scrolls up to the beginning, without blank lines below.
func (s *screen) lines() []string {
	s.t.Helper()
	return strings.Split(strings.TrimRight(s.ask("capture-pane", "-p", "-S", "-"), "\n"), "\n")
}

func (s *screen) await(what string, done func() bool) {
	s.t.Helper()
	if err := await(what, done); err != nil {
		s.t.Fatalf("%v\n%s", err, strings.Join(s.lines(), "\n"))
	}
}

// end waits for the command's end and gives its exit code.
func (s *screen) end() string {
	s.t.Helper()
	var code []byte
	s.await("the end", func() bool {
		var err error
		code, err = os.ReadFile(s.code)
		return err == nil
	})
	return strings.TrimSpace(string(code))
}

// hostileRequest is a request in which every string that can be an attack is one, each
// another as far as there are some; every attack that can is the path of a target.
func hostileRequest(t testing.TB, e *estate) (hostile *estate, held int) {
	t.Helper()
	names := slices.Sorted(maps.Keys(attacks))
	for i, p := range e.spots() {
		if !slices.Contains(proposed, p.document()) {
			continue
		}
		for j := range names {
			altered := e.with(p, attacks[names[(i+j)%len(names)]])
			if reviewBytes(altered.request(t)).code != exitOK {
				continue
			}
			e, held = altered, held+1
			if !p.name || p.steps[len(p.steps)-1] != "targets" {
				break
			}
		}
	}
	return e, held
}

// TestScreen: a request full of attacks on a real terminal, 80, 60 and 20 columns wide. The
// screen is the one that the review's text makes, line by line; the true hashes and the
// question come last; "no" writes nothing.
func TestScreen(t *testing.T) {
	t.Parallel()
	e, held := hostileRequest(t, newEstate(t))
	if held < 20 {
		t.Fatalf("only %d places hold an attack", held)
	}
	dir := t.TempDir()
	file, config, root := filepath.Join(dir, "change.request"), filepath.Join(dir, "none.yaml"), filepath.Join(dir, "root.json")
	request := e.request(t)
	for name, data := range map[string][]byte{file: request, config: nil, root: e.envelope(t, "root")} {
		check(t, os.WriteFile(name, data, 0o600))
	}
	piped := inProcess("review", file, "--config", config, "--root", root)
	if piped.code != exitOK {
		t.Fatalf("exit %d\n%s", piped.code, piped.stderr)
	}
	want := strings.Split(strings.TrimSuffix(piped.stdout, "\n"), "\n")
	for _, width := range []int{80, 60, narrowest} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			review := openScreen(t, width, "fleet-hsm", "review", file, "--config", config, "--root", root)
			if code := review.end(); code != "0" {
				t.Errorf("review: exit %s", code)
			}
			checkScreen(t, width, review.lines(), want, e)

			sign := openScreen(t, width, "fleet-hsm", "sign", file, "--config", config, "--root", root)
			asked := []string{"Sign this? Type yes to go on:"}
			if width == narrowest {
				asked = []string{"Sign this? Type yes", "  > to go on:"}
			}
			end := func(l []string) []string { return l[max(0, len(l)-len(asked)):] }
			sign.await("the question", func() bool { return slices.Equal(end(sign.lines()), asked) })
			seen := sign.lines()
			checkScreen(t, width, seen[:len(seen)-len(asked)], want, e)
			if n := strings.Count(strings.Join(seen, "\n"), "\nSign this?"); n != 1 {
				t.Errorf("%d lines ask whether to sign", n)
			}
			sign.ask("send-keys", "no", "Enter")
			if code := sign.end(); code != "1" {
				t.Errorf("no: exit %s", code)
			}
		})
	}
	t.Cleanup(func() {
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, request) {
			t.Errorf("the request was written: %v", err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 3 {
			t.Errorf("%d files where 3 were (%v)", len(list), err)
		}
	})
}

// checkScreen compares a screen with the review's text in a pipe, and looks at the lines.
func checkScreen(t *testing.T, width int, seen, want []string, e *estate) {
	t.Helper()
	if width == usualColumns {
		for i := range want {
			if i >= len(seen) || seen[i] != want[i] {
				t.Errorf("line %d is %q, and in a pipe %q", i+1, seen[min(i, len(seen)-1)], want[i])
				break
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%d lines, and %d in a pipe", len(seen), len(want))
		}
	}
	if a, b := unwrapped(seen), unwrapped(want); a != b {
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		t.Errorf("it says something else than in a pipe: %q, want %q", a[max(0, i-20):min(len(a), i+60)], b[max(0, i-20):min(len(b), i+60)])
	}
	hashes := 0
	for i, l := range seen {
		if len(l) > width {
			t.Errorf("line %d has %d columns", i+1, len(l))
		}
		if !ourLine(l) {
			t.Errorf("line %d begins with words of others: %q", i+1, l)
		}
		if strings.HasPrefix(l, "  sha256 ") {
			hashes++
			sum := hashAt(seen[i:])
			if name := []string{"staged_root", "staged_targets"}[min(hashes-1, 1)]; sum != e.hash(t, name) {
				t.Errorf("hash %d is %s, not that of %s", hashes, sum, name)
			}
		}
	}
	last := len(seen) - 1
	for last > 0 && strings.HasPrefix(seen[last], "            ") {
		last--
	}
	if hashes != 2 || !strings.HasPrefix(seen[last], "  sha256 ") {
		t.Errorf("%d hashes; the last lines are %q", hashes, seen[last:])
	}
}

// narrowest is the narrowest terminal on which a review is shown.
const narrowest = 20

// hashAt reads the hash that begins in the first line, and goes on below.
func hashAt(lines []string) string {
	sum := strings.TrimPrefix(lines[0], "  sha256 ")
	for _, l := range lines[1:] {
		if !strings.HasPrefix(l, "            ") {
			break
		}
		sum += l
	}
	return strings.Join(strings.Fields(sum), "")
}

// A terminal that is too narrow to show a review shows none, and nothing is signed.
func TestTooNarrowToSign(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	must(t, "rotate", "root", "--renew", "--stage-only", "--path", dir)
	s := openScreen(t, narrowest-1, "fleet-hsm", "sign", "--path", dir)
	if code := s.end(); code != "2" || !strings.Contains(unwrapped(s.lines()), "terminalhas19columns") {
		t.Errorf("exit %s\n%s", code, strings.Join(s.lines(), "\n"))
	}
	// Its hint: by the hash that review prints.
	shown := must(t, "review", "--json", "--path", dir).stdout
	must(t, "sign", "--no-input", "--path", dir, "--reviewed", sha256Member().FindStringSubmatch(shown)[1])
}

// usualColumns is what a review is wrapped to in a pipe.
const usualColumns = 80

// unwrapped is what lines say, wherever they were cut.
func unwrapped(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		for _, mark := range []string{"          > ", "  > "} {
			if rest, ok := strings.CutPrefix(l, mark); ok {
				l = rest
				break
			}
		}
		b.WriteString(strings.ReplaceAll(l, " ", ""))
	}
	return b.String()
}
