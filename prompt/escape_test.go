package prompt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/fleet-hsm/fleet-hsm/prompt"
)

// attacks are texts that do something else than to be read.
var attacks = map[string]string{
	"clear the screen":   "\x1b[2J\x1b[H",
	"title (OSC)":        "\x1b]0;all is well\x07",
	"C1 control":         "a\u009b2Jb",
	"C1 as a byte":       "a\x9b2Jb",
	"backspace":          "evil\b\b\b\bgood",
	"delete":             "a\x7f",
	"NUL":                "a\x00b",
	"newline":            "a\nfleet-hsm: all is well",
	"carriage return":    "a\rROOT v9",
	"tab":                "a\tb",
	"vertical tab":       "a\vb\fc",
	"line separator":     "a\u2028b\u2029c\u0085d",
	"bidi override":      "a\u202edcba\u202c",
	"bidi isolate":       "a\u2066b\u2069",
	"bidi mark":          "a\u200e\u200f\u061cb",
	"right-to-left":      "a \u05d0\u05d1 1 2",
	"zero-width":         "a\u200bb\u200cc\u200dd\u2060e\ufefff",
	"soft hyphen":        "a\u00adb",
	"padding":            "a" + strings.Repeat(" ", 60) + "gains root",
	"no-break blank":     "a\u00a0\u00a0b",
	"em blanks":          "a\u2003\u2003\u3000b",
	"Braille blank":      "a\u2800\u2800b",
	"Hangul filler":      "a\u3164\u115f\u1160\uffa0b",
	"stacked marks":      "a" + strings.Repeat("\u0301", 40),
	"mark first":         "\u0301a",
	"grapheme joiner":    "a\u034fb",
	"variation selector": "a\ufe0fb\U000e0100c",
	"tag characters":     "a\U000e0041\U000e0042\U000e007f",
	"private use":        "a\ue000\U000f0000b",
	"unassigned":         "a\u0378\U000e1000b",
	"no character":       "a\ufffe\uffffb",
	"not UTF-8":          "a\xff\xfe\xc0\x80b",
	"surrogate":          "a\xed\xa0\x80b",
	"interlinear":        "a\ufff9b\ufffac\ufffb",
}

// tame says why a text may not stand on a screen, or "".
func tame(s string) string {
	blank, marks := false, 9
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			return "bytes that are no UTF-8"
		case r == ' ' && blank:
			return "two blanks"
		case r != ' ' && !unicode.IsGraphic(r), r != ' ' && unicode.IsSpace(r), unicode.In(r, unicode.Cf, unicode.Zs) && r != ' ':
			return "the character " + strings.ToUpper(string(unicode.ToUpper(r))) + " as it is"
		case strings.ContainsRune("\u2800\u3164\u115f\u1160\uffa0\u034f", r), r >= 0xfe00 && r <= 0xfe0f:
			return "a character that nobody sees"
		case unicode.Is(unicode.M, r) && r < 0xe0000:
			if marks++; marks > 2 {
				return "more marks than a letter has"
			}
		case r >= 0x590 && r <= 0x8ff:
			return "a letter that turns the line"
		}
		if !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if r == ' ' {
			marks = 9
		}
		blank = r == ' '
	}
	return ""
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for name, s := range attacks {
		if why := tame(s); why == "" {
			t.Errorf("%s: is no attack in the eyes of this test", name)
		}
		for form, out := range map[string]string{
			"Escape": prompt.Escape(s), "ASCII": prompt.ASCII(s), "Name": prompt.Name(s).String(),
			"Quote": prompt.Quote(s).String(), "Path": prompt.Path(s).String(),
			"as a string": prompt.Sprintf("%s", s).String(), "quoted": prompt.Sprintf("%q", s).String(),
			"as an error": prompt.Sprintf("%v", errors.New(s)).String(), "in a list": prompt.Sprintf("%v", []string{s}).String(),
			"in bytes": prompt.Sprintf("%s", []byte(s)).String(), "in a struct": prompt.Sprintf("%+v", struct{ A string }{s}).String(),
			"padded": prompt.Sprintf("%-3s", s).String(), "cut": prompt.Sprintf("%.30s", s).String(),
		} {
			if why := tame(out); why != "" {
				t.Errorf("%s, %s: %s: %q", name, form, why, out)
			}
		}
	}
	for _, s := range []string{"", "orbit 1.2.3", "J\u00fcrgens blauer YubiKey", "\u5c71\u7530", "a\\b \"c\"", "na\u0308h"} {
		if out := prompt.Escape(s); out != s {
			t.Errorf("%q was escaped: %q", s, out)
		}
	}
}

func TestNumbersAndOurWords(t *testing.T) {
	t.Parallel()
	ours := prompt.Sprintf("  two  blanks %-5s|%5d|%05.1f", "a", 7, 1.5)
	if got := prompt.Sprintf("%s%s", ours, "x").String(); got != "  two  blanks a    |    7|001.5x" {
		t.Errorf("%q", got)
	}
	if got := prompt.Sprintf("%-6s|%6s|", "\x1b", prompt.Name("a")).String(); got != `\x1b  |   "a"|` {
		t.Errorf("%q", got)
	}
	if got := prompt.Sprintf("%v", errors.Join(errors.New("a"), errors.New("b"))).String(); got != "a; b" {
		t.Errorf("%q", got)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{prompt.Name("blue").String(), `"blue"`},
		{prompt.Name("J\u00fcrgen").String(), `"J\u00fcrgen"`},
		{prompt.Name(`a" gains root "b\`).String(), `"a\" gains root \"b\\"`},
		{prompt.Name(strings.Repeat("x", 4000)).String(), `"` + strings.Repeat("x", 40) + `".. (cut: it has 4000 characters)`},
		{prompt.Path("orbit/linux/stable/orbit").String(), "orbit/linux/stable/orbit"},
		{prompt.Path("orbit linux").String(), `"orbit linux"`},
		{prompt.Path("\u043erbit").String(), `"\u043erbit"`},
		{prompt.Path("").String(), `""`},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	if n := len(prompt.Path(strings.Repeat("x", 4000)).String()); n != 4000 {
		t.Errorf("a path of 4000 characters is shown in %d", n)
	}
}

// TestJSONKeepsItsMeaning: what was escaped is read as it was, and no byte of it acts.
func TestJSONKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	for name, s := range attacks {
		if !utf8.ValidString(s) {
			continue // encoding/json takes no other
		}
		var b bytes.Buffer
		if err := prompt.New(&b).JSON(map[string]string{"a": s}); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back["a"] != s {
			t.Errorf("%s: %v, %q", name, err, back["a"])
		}
		if why := tame(strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "  ", " ")); why != "" && why != "two blanks" {
			t.Errorf("%s: %s: %q", name, why, b.String())
		}
		b.Reset()
		if _, err := prompt.New(&b).Log().Write([]byte(s)); err != nil || strings.ContainsAny(b.String(), "\x1b\u009b\u202e\r\x7f") {
			t.Errorf("%s, in a log: %q, %v", name, b.String(), err)
		}
	}
}

// TestReviewWraps: no line is wider than the screen, what follows stands behind a mark,
// and no text of others begins a line.
func TestReviewWraps(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("gains root ", 400)
	path := "a/" + strings.Repeat("root", 1000)
	var b bytes.Buffer
	w := prompt.New(&b).Review()
	w.Item("other", prompt.Sprintf("%s", words))
	w.Item("added", prompt.Path(path))
	w.Printf("WARNING %s\n", words)
	w.Item("other", prompt.Sprintf("gains r\u043e\u043et"))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) < 120 {
		t.Fatalf("%d lines", len(lines))
	}
	text := ""
	for _, l := range lines {
		if strings.ContainsFunc(l, func(r rune) bool { return r > '~' }) {
			t.Errorf("a letter that looks like another: %q", l)
		}
		if len(l) > 80 {
			t.Errorf("%d columns: %q", len(l), l)
		}
		switch {
		case strings.HasPrefix(l, "          > "), strings.HasPrefix(l, "  > "), strings.HasPrefix(l, "  other     gains"),
			strings.HasPrefix(l, "  added     a/"), strings.HasPrefix(l, "WARNING gains"):
		default:
			t.Errorf("a line without a beginning of ours: %q", l)
		}
		if _, tail, ok := strings.Cut(l, "> "); ok {
			text += tail
		}
	}
	if n := strings.Count(text, "root"); n < 1700 {
		t.Errorf("%d of 1800 words were shown", n)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range attacks {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{prompt.Escape(s), prompt.Sprintf("%s", s).String(), prompt.Name(s).String(), prompt.Path(s).String()} {
			if why := tame(out); why != "" {
				t.Errorf("%s: %q of %q", why, out, s)
			}
		}
	})
}
