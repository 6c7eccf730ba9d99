package prompt

import "strings"

// more stands before what did not fit into the line above.
const more = "  > "

// minWidth and usualWidth, in columns: what is to be signed is not shown on a narrower
// screen ([Writer.Narrow]), an unknown one is treated as one of 80 where lines are wrapped
// at all.
const (
	minWidth   = 20
	usualWidth = 80
)

// wrap cuts a line into lines of at most width columns, at blanks where there are some.
func wrap(line string, width int, mark string) []string {
	if width <= 0 || columns(line) <= width {
		return []string{line}
	}
	width = max(width, minWidth)
	var out []string
	rest, lead := line, ""
	for columns(lead)+columns(rest) > width {
		cut := cutAt(rest, width-columns(lead))
		out = append(out, lead+strings.TrimRight(rest[:cut], " "))
		rest, lead = strings.TrimLeft(rest[cut:], " "), mark
	}
	if rest != "" {
		out = append(out, lead+rest)
	}
	return out
}

// cutAt finds where to cut a text so that the first part fits into width columns:
// behind a blank in its second half, else where the width ends. A sequence of the
// terminal is not cut.
func cutAt(s string, width int) int {
	col, blank, inSequence := 0, 0, false
	for i, r := range s {
		switch {
		case inSequence:
			inSequence = r != 'm'
			continue
		case r == '\x1b':
			inSequence = true
			continue
		}
		if col+cells(r) > width {
			if blank > 0 {
				return blank
			}
			return max(i, 1)
		}
		col += cells(r)
		if r == ' ' && col > width/2 {
			blank = i + 1
		}
	}
	return len(s)
}

// columns counts what a text takes on the screen.
func columns(s string) int {
	n, inSequence := 0, false
	for _, r := range s {
		switch {
		case inSequence:
			inSequence = r != 'm'
		case r == '\x1b':
			inSequence = true
		default:
			n += cells(r)
		}
	}
	return n
}

// cells is how wide a character is, at most: what is said of CJK letters is said of
// their neighbours too, and a line that is too short does no harm.
func cells(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}

// Wrap cuts a text of ours into lines: the first is at most first columns wide, the others
// below.
func Wrap(text string, first, below int) []string {
	out := wrap(text, max(first, minWidth), "")
	if len(out) < 2 || first == below {
		return out
	}
	rest := strings.TrimLeft(text[len(out[0]):], " ")
	return append(out[:1], wrap(rest, max(below, minWidth), "")...)
}
