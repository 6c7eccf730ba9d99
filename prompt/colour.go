package prompt

import (
	"fmt"
	"os"
	"strings"
)

// When says whether text is coloured.
type When string

// The values of When.
const (
	Auto   When = "auto" // on a terminal that takes it, without NO_COLOR (no-color.org) and TERM=dumb
	Always When = "always"
	Never  When = "never"
)

// Meaning is what a colour says. Nothing is told by colour alone.
type Meaning int

// The meanings.
const (
	Good  Meaning = iota
	Soon          // to be looked at: a warning, what expires soon
	Bad           // an error, what is taken away
	Aside         // a hint, what could be done next
)

// sgr are their numbers on a terminal (SGR).
func (m Meaning) sgr() int { return [...]int{32, 33, 31, 36}[m] }

// Colour sets when this writer colours.
func (w *Writer) Colour(when When) {
	switch when {
	case Always:
		w.colour = true
	case Never:
		w.colour = false
	default:
		w.colour = w.escapes && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
}

// Marked gives a text the colour of a meaning, where this writer colours.
func (w *Writer) Marked(m Meaning, t Text) Text {
	if !w.colour || t.s == "" {
		return t
	}
	return Text{fmt.Sprintf("\x1b[%dm%s\x1b[0m", m.sgr(), t.s)}
}

// labels are the words of ours that begin a line and have a colour, in reviews too.
func labels() map[string]Meaning {
	return map[string]Meaning{
		"fleet-hsm:": Bad, "warning:": Soon, "hint:": Aside, "WARNING": Soon, "verified": Good, "published:": Good, "next": Aside,
		"added": Good, "removed": Bad, "changed": Soon, "moved": Soon,
	}
}

// begin colours the word with which a line of ours begins. What the line is about is never
// looked at: only the format, which no other hand wrote.
func (w *Writer) begin(format string) string {
	if !w.colour {
		return format
	}
	word, rest, _ := strings.Cut(format, " ")
	m, ok := labels()[word]
	if !ok {
		return format
	}
	return w.Marked(m, Text{word}).s + format[len(format)-len(rest)-1:]
}
