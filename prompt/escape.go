package prompt

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may stand on one letter.
const maxMarks = 2

// Escape writes a text that others wrote as one that only says something: what could
// act on a terminal, hide, or look like the space between two of our words is shown as
// \n, \x1b, \u202e, \U000e0041, and a blank behind a blank as \x20.
func Escape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	blank, marks := false, maxMarks // no mark at the beginning
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
			marks = maxMarks
		case r == ' ':
			if blank {
				b.WriteString(`\x20`)
			} else {
				b.WriteByte(' ')
			}
			marks = maxMarks
		case !shown(r), unicode.Is(unicode.M, r) && marks >= maxMarks:
			b.WriteString(escaped(r))
			marks = maxMarks
		case unicode.Is(unicode.M, r):
			b.WriteRune(r)
			marks++
		default:
			b.WriteRune(r)
			marks = 0
		}
		blank = r == ' '
		i += n
	}
	return b.String()
}

// ASCII is Escape that leaves nothing but printable ASCII.
func ASCII(s string) string {
	return onlyASCII(Escape(s))
}

func onlyASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteString(escaped(r))
		}
	}
	return b.String()
}

func escaped(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// shown reports whether a character may stand on the screen as it is: letters, marks,
// numbers, punctuation and symbols, written from left to right, that leave ink.
func shown(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!rightToLeft(r) && !inkless(r)
}

// rightToLeft: the blocks whose letters turn the order of what stands beside them, as a
// bidi control does (Unicode, annex 9: classes R and AL).
func rightToLeft(r rune) bool {
	return r >= 0x0590 && r <= 0x08ff || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfeff ||
		r >= 0x10800 && r <= 0x10fff || r >= 0x1e800 && r <= 0x1efff
}

// inkless: letters and symbols that look like a blank.
func inkless(r rune) bool {
	switch r {
	case 0x2800, // Braille pattern blank
		0x115f, 0x1160, 0x3164, 0xffa0, // Hangul fillers
		0x17b4, 0x17b5, 0x1d159:
		return true
	}
	return false
}
