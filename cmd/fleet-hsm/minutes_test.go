//go:build cgo && linux

package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// updateScreens in the environment writes the screens of testdata/screens anew.
const updateScreens = "FLEET_HSM_UPDATE_SCREENS"

// minute is one thing that a new user types, and what they wait for.
type minute struct {
	name string   // of the screen that is kept; "" for none
	keys []string // lines, each typed behind what it waits for: "WAIT => TYPE"
	wait string
}

// firstMinutes are the first ten of a new user with file keys, as docs/quickstart.md
// leads them: Fleet's own procedure in six steps, with a look around in between.
func firstMinutes() []minute {
	passphrases := func(roles ...string) []string {
		var out []string
		for _, r := range roles {
			out = append(out, r+" => "+"correct-horse-"+r, "The same again: => correct-horse-"+r)
		}
		return out
	}
	return []minute{
		{"1-init", append(append([]string{"$ => fleet-hsm init --path updates"}, passphrases("root", "targets", "snapshot", "timestamp")...), "Sign this? => yes"), "nothing can be signed."},
		{"2-add", []string{"$ => clear; cd updates", "$ => fleet-hsm add --target ../orbit --name orbit --platform linux --version 1.2.3 -t stable",
			"targets): => correct-horse-targets", "snapshot): => correct-horse-snapshot", "timestamp): => correct-horse-timestamp"}, "published: root v1, targets v2"},
		{"3-slip", []string{"$ => clear; fleet-hsm promote 1.2.3 --from stabel --to edge"}, "did you mean"},
		{"4-list", []string{"$ => clear; fleet-hsm list"}, "1.2.3"},
		{"5-publish", []string{"$ => clear; fleet-hsm publish ../web"}, "published to"},
		{"6-status", []string{"$ => clear; fleet-hsm status"}, "layout"},
		{"7-dry-run", []string{"$ => clear; fleet-hsm rotate timestamp --dry-run"}, "a dry run"},
		{"8-timestamp", []string{"$ => clear; fleet-hsm timestamp", "timestamp): => correct-horse-timestamp"}, "published: timestamp v3"},
		{"9-verify", []string{"$ => clear; fleet-hsm verify ../web"}, "verified from root"},
	}
}

// TestFirstMinutes types them at a real terminal, 80 and 60 columns wide and 24 lines
// high: what it shows is kept as text, no line is wider than it, and no review higher.
func TestFirstMinutes(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("fleet-hsm")
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{80, 60} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			home := filepath.Join(os.TempDir(), "u-"+rand.Text()[:8]) // of one length, for lines that are wrapped
			check(t, os.Mkdir(home, 0o755))
			t.Cleanup(func() { _ = os.RemoveAll(home) })
			check(t, os.WriteFile(filepath.Join(home, "orbit"), append(binaryHeader("linux"), "orbit"...), 0o755))
			s := openScreen(t, width, "env", "-i", "PATH="+filepath.Dir(tool)+":/usr/bin:/bin", "HOME="+home, "TERM=xterm-256color", "NO_COLOR=1",
				ownTerminal+"=1", testClock+"=2026-12-01T10:00:00Z", "PS1=$ ", "sh", "-c", `cd "$HOME"; exec sh -i`)
			for _, m := range firstMinutes() {
				for _, line := range m.keys {
					wait, typed, _ := strings.Cut(line, " => ")
					s.await(wait, func() bool {
						now := last(s.visible())
						return strings.Contains(now, wait) && (wait != "$" || now == "$")
					})
					s.ask("send-keys", "-l", typed)
					s.ask("send-keys", "Enter")

				}
				s.await(m.wait, func() bool {
					seen := s.visible()
					return strings.Contains(strings.Join(seen, "\n"), m.wait) && last(seen) == "$"
				})
				compareScreen(t, width, m.name, home, s.visible())
			}
		})
	}
}

// visible is what the terminal shows now.
func (s *screen) visible() []string {
	s.t.Helper()
	return strings.Split(strings.TrimRight(s.ask("capture-pane", "-p"), "\n"), "\n")
}

func last(lines []string) string { return lines[len(lines)-1] }

var (
	hexRun   = later(`[0-9a-f]{8,}`)
	wordRun  = later(`^ +> [a-z ]+$`)
	loginRun = later(`by init of [^,]+,`)
)

// compareScreen compares a screen with the kept one. What is random is shown as such.
func compareScreen(t *testing.T, width int, name, home string, lines []string) {
	t.Helper()
	for i, l := range lines {
		if n := len([]rune(l)); n > width {
			t.Errorf("%s: %d columns: %q", name, n, l)
		}
		lines[i] = strings.TrimRight(loginRun().ReplaceAllString(hexRun().ReplaceAllStringFunc(l, func(s string) string { return strings.Repeat("x", len(s)) }), "by init of user,"), " ")
	}
	text := strings.Trim(strings.ReplaceAll(strings.Join(belowWords(lines), "\n"), home, "/tmp/u-12345678"), "\n") + "\n"
	file := filepath.Join("testdata", "screens", fmt.Sprint(width), name+".txt")
	if os.Getenv(updateScreens) != "" {
		check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		check(t, os.WriteFile(file, []byte(text), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	check(t, err)
	if string(want) != text {
		t.Errorf("%s: the screen is\n%s\nand not\n%s\n(%s=1 keeps it)", file, text, want, updateScreens)
	}
}

// belowWords cuts the screen behind the words of a review: they are long or short, and so
// what has scrolled out above them is more or less.
func belowWords(lines []string) []string {
	for i := len(lines) - 1; i >= 0; i-- {
		if !strings.HasPrefix(lines[i], "  words ") {
			continue
		}
		for i++; i < len(lines) && wordRun().MatchString(lines[i]); i++ {
		}
		return append([]string{"(the review, down to its words)"}, lines[i:]...)
	}
	return lines
}
