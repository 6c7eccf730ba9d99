package prompt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fleet-hsm/fleet-hsm/internal/tty"
)

// Writer is stdout or stderr for people. It may be used by several goroutines; a line
// is written whole.
type Writer struct {
	mu      sync.Mutex
	w       io.Writer
	file    *os.File // the terminal, or nil
	escapes bool     // the terminal takes escape sequences
	colour  bool     // see Colour
	line    strings.Builder
	// always is a width to wrap to wherever the text goes, 0 for terminals only.
	always int
}

// New makes a writer on w; it looks whether w is a terminal.
func New(w io.Writer) *Writer {
	out := &Writer{w: w}
	if f, ok := w.(*os.File); ok && tty.Is(f) {
		out.file = f
		out.escapes = tty.Escapes(f)
	}
	out.Colour(Auto)
	return out
}

// Terminal reports whether a person looks at it now.
func (w *Writer) Terminal() bool { return w.file != nil }

// Raw gives what lies below, for bytes that are no text for people: metadata, exported
// keys, the help and the completion of the shell.
func (w *Writer) Raw() io.Writer { return w.w }

// Printf writes text. The format is ours and may have several lines; every argument is
// somebody else's words, and escaped, unless it is a [Text] or a number.
func (w *Writer) Printf(format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...) // for go vet: this is a Printf
	}
	w.print(Sprintf(w.begin(format), args...), more)
}

// Lines writes a text of several lines, each escaped for itself, such as PEM.
func (w *Writer) Lines(s string) {
	for _, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		w.Printf("%s\n", line)
	}
}

// ItemIndent is the column at which the text of an Item begins.
const ItemIndent = 12

// Item writes a line of a review: what it is about (9 columns), then text, which is
// wrapped below itself.
func (w *Writer) Item(label string, text Text) {
	shown := Sprintf("%-9s", label)
	if m, ok := labels()[label]; ok {
		shown = w.Marked(m, shown)
	}
	w.print(Sprintf("  %s %s\n", shown, text), strings.Repeat(" ", ItemIndent-len(more[2:]))+more[2:])
}

// Review gives a writer to the same place that wraps there whatever it is, and writes
// ASCII alone: a letter that looks like another is an escape.
func (w *Writer) Review() *Writer {
	return &Writer{w: w.w, file: w.file, colour: w.colour, always: usualWidth}
}

// Measure says how many lines something takes there.
func (w *Writer) Measure(show func(*Writer)) int {
	var b bytes.Buffer
	show(&Writer{w: &b, always: w.Width()})
	return bytes.Count(b.Bytes(), []byte("\n"))
}

// Width is the number of columns that lines are wrapped to, 0 for none.
func (w *Writer) Width() int {
	if w.file != nil {
		if n, known := tty.Columns(w.file); known {
			return max(n, minWidth)
		}
	}
	return w.always
}

// Narrow reports whether lines go to a terminal that is too narrow for them: it would cut
// them itself, without a mark, and words of others could begin a line.
func (w *Writer) Narrow() error {
	if w.file != nil {
		if n, known := tty.Columns(w.file); known && n < minWidth {
			return &NarrowError{n}
		}
	}
	return nil
}

// NarrowError: what is to be signed cannot be shown as it is.
type NarrowError struct{ Columns int }

func (e *NarrowError) Error() string {
	return fmt.Sprintf("the terminal has %d columns, and what is to be signed needs %d", e.Columns, minWidth)
}

// print writes what makes whole lines and keeps the rest until its line is whole.
func (w *Writer) print(t Text, mark string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.always > 0 {
		t.s = onlyASCII(t.s)
	}
	w.line.WriteString(t.s)
	text := w.line.String()
	end := strings.LastIndexByte(text, '\n') + 1
	if end == 0 {
		return
	}
	w.line.Reset()
	w.line.WriteString(text[end:])
	width := w.Width()
	var out bytes.Buffer
	for _, line := range strings.Split(text[:end-1], "\n") {
		for _, l := range wrap(line, width, mark) {
			out.WriteString(l)
			out.WriteByte('\n')
		}
	}
	// Whoever reads it may be gone; there is no other place to complain to.
	_, _ = w.w.Write(out.Bytes())
}

// Table writes rows of cells below each other, two blanks between the columns.
func (w *Writer) Table(rows [][]string) {
	var widths []int
	cells := make([][]string, len(rows))
	for i, row := range rows {
		for j, cell := range row {
			cells[i] = append(cells[i], Escape(cell))
			if j == len(widths) {
				widths = append(widths, 0)
			}
			if j < len(row)-1 { // the last one is not padded
				widths[j] = max(widths[j], columns(cells[i][j]))
			}
		}
	}
	for _, row := range cells {
		var b strings.Builder
		for j, cell := range row {
			b.WriteString(cell)
			if j < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[j]-columns(cell)+2))
			}
		}
		b.WriteByte('\n')
		w.print(Text{b.String()}, more)
	}
}

// Bar draws over the line in which the cursor stands, on a terminal only.
func (w *Writer) Bar(format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...) // for go vet: this is a Printf
	}
	if w.file == nil || !w.escapes {
		return
	}
	s := Sprintf(format, args...).s
	if width := w.Width(); width > 0 {
		s = s[:cutAt(s, width-1)]
	}
	_, _ = io.WriteString(w.w, "\r"+s+"\x1b[K")
}

// JSON writes a value in one line; characters that would be dangerous to look at are
// \u escapes in its strings.
func (w *Writer) JSON(value any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	_, err := w.w.Write(escapeJSON(b.Bytes()))
	return err
}

// Log gives a writer for lines of a log in JSON, or in the text form of package slog,
// which quotes as JSON does.
func (w *Writer) Log() io.Writer { return logWriter{w.w} }

type logWriter struct{ w io.Writer }

func (l logWriter) Write(p []byte) (int, error) {
	if _, err := l.w.Write(escapeJSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// escapeJSON writes what Escape would not show as \u escapes. In JSON such characters
// stand in strings alone.
func escapeJSON(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == '\n', r == ' ', shown(r) && !unicode.Is(unicode.M, r) && !(r == utf8.RuneError && n == 1):
			out = append(out, data[i:i+n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	return out
}
