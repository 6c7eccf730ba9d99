package prompt

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Lengths, in characters, after which texts of others are cut.
const (
	MaxName  = 40
	MaxQuote = 200
)

// Text is what may be shown as it stands: words of ours, with those of others escaped
// in it. The zero Text is empty.
type Text struct{ s string }

// String gives the text; printed again it counts as somebody else's words.
func (t Text) String() string { return t.s }

// Sprintf makes a Text: the format is ours, the arguments are others', as in
// [Writer.Printf].
func Sprintf(format string, args ...any) Text {
	if false {
		_ = fmt.Sprintf(format, args...) // for go vet: this is a Printf
	}
	return Text{fmt.Sprintf(format, safe(args)...)}
}

// Join puts texts together.
func Join(list []Text, sep string) Text {
	var parts []string
	for _, t := range list {
		parts = append(parts, t.s)
	}
	return Text{strings.Join(parts, sep)}
}

// Name shows what somebody calls something.
func Name(s string) Text { return quoted(s, MaxName) }

// Quote shows a sentence that somebody wrote.
func Quote(s string) Text { return quoted(s, MaxQuote) }

func quoted(s string, most int) Text {
	n := utf8.RuneCountInString(s)
	if n <= most {
		return Text{quote(s)}
	}
	cut := 0
	for range most {
		_, size := utf8.DecodeRuneInString(s[cut:])
		cut += size
	}
	return Text{fmt.Sprintf("%s.. (cut: it has %d characters)", quote(s[:cut]), n)}
}

// quote puts a text between quotes, in which a quote is \" and a backslash \\.
func quote(s string) string {
	return `"` + ASCII(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)) + `"`
}

// Path shows a target path, a version, or what else has no blank in it, in full.
func Path(s string) Text {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._/+@=:~-", r) {
			return Text{quote(s)}
		}
	}
	if s == "" {
		return Text{`""`}
	}
	return Text{s}
}

// safe wraps every argument that could hold a text.
func safe(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, uintptr, float32, float64, time.Duration:
			out[i] = a
		case Text:
			out[i] = piece{ours: true, value: a.s}
		default:
			out[i] = piece{value: a}
		}
	}
	return out
}

// piece is one argument on its way into a line.
type piece struct {
	ours  bool
	value any
}

// Format implements fmt.Formatter: the text first, then its escapes, then our padding.
func (p piece) Format(f fmt.State, verb rune) {
	directive := "%"
	for _, flag := range "+#" {
		if f.Flag(int(flag)) {
			directive += string(flag)
		}
	}
	if n, ok := f.Precision(); ok {
		directive += fmt.Sprintf(".%d", n)
	}
	s := fmt.Sprintf(directive+string(verb), p.value)
	if _, isError := p.value.(error); isError {
		s = strings.ReplaceAll(s, "\n", "; ") // errors.Join
	}
	if !p.ours {
		s = Escape(s)
	}
	pad := ""
	if n, ok := f.Width(); ok {
		pad = strings.Repeat(" ", max(0, n-columns(s)))
	}
	if f.Flag('-') {
		s, pad = s+pad, ""
	}
	_, _ = f.Write([]byte(pad + s))
}
