package prompt_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/prompt"
)

// TestOnlyOurWordsAreColoured: the words of ours that begin a line have a colour where it is
// asked for, in a review too, and none in a pipe; what others wrote has none and makes none.
func TestOnlyOurWordsAreColoured(t *testing.T) {
	t.Parallel()
	const theirs = "\x1b[31mwarning: \x1b[0m"
	write := func(when prompt.When) string {
		var b bytes.Buffer
		w := prompt.New(&b)
		if when != "" {
			w.Colour(when)
		}
		w.Printf("warning: %s\n", theirs)
		w.Printf("hint: %s\n", "fleet-hsm: x")
		w.Printf("%s\n", "warning: not ours")
		w.Review().Item("WARNING", prompt.Sprintf("%s", theirs))
		w.Review().Item("other", prompt.Sprintf("%s", "WARNING"))
		w.Printf("%s\n", w.Marked(prompt.Good, prompt.Sprintf("%s", "ok")))
		return b.String()
	}
	plain := "warning: \\x1b[31mwarning: \\x1b[0m\nhint: fleet-hsm: x\nwarning: not ours\n  WARNING   \\x1b[31mwarning: \\x1b[0m\n  other     WARNING\nok\n"
	coloured := "\x1b[33mwarning:\x1b[0m \\x1b[31mwarning: \\x1b[0m\n\x1b[36mhint:\x1b[0m fleet-hsm: x\nwarning: not ours\n" +
		"  \x1b[33mWARNING  \x1b[0m \\x1b[31mwarning: \\x1b[0m\n  other     WARNING\n\x1b[32mok\x1b[0m\n"
	for when, want := range map[prompt.When]string{"": plain, prompt.Auto: plain, prompt.Never: plain, prompt.Always: coloured} {
		if got := write(when); got != want {
			t.Errorf("%q: %q, not %q", when, got, want)
		}
	}
	if strings.Contains(write(prompt.Never), "\x1b") {
		t.Error("never is sometimes")
	}
}
