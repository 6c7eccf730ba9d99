// Package tty talks to the person at the terminal: on /dev/tty or the console, so that standard
// input and output stay free for data, with secrets unseen, and with the terminal as
// it was afterwards even when the person gives up with Ctrl-C.
package tty

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNone: there is no terminal.
var ErrNone = errors.New("no terminal")

// maxLine bounds what a person can type into one question, in bytes.
const maxLine = 1024

// Terminal is the controlling terminal. What is typed and what is shown are two files
// where the system has two (a console of Windows), else one.
type Terminal struct{ in, out *os.File }

// Open opens the controlling terminal; ErrNone if there is none.
func Open() (*Terminal, error) {
	in, out, err := open()
	if err != nil {
		return nil, ErrNone
	}
	return &Terminal{in, out}, nil
}

// Close closes the terminal.
func (t *Terminal) Close() error {
	if t.in == t.out {
		return t.in.Close()
	}
	return errors.Join(t.in.Close(), t.out.Close())
}

// Write shows text.
func (t *Terminal) Write(p []byte) (int, error) { return t.out.Write(p) }

// Secret asks for a line without showing it. It returns ctx.Err() when ctx ends.
func (t *Terminal) Secret(ctx context.Context, prompt string) ([]byte, error) {
	fd := int(t.in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(t.out, prompt); err != nil {
		return nil, err
	}
	line, err := wait(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	// Enter was not echoed; Ctrl-C left echo off.
	_ = term.Restore(fd, state)
	_, _ = io.WriteString(t.out, "\n")
	return line, err
}

// Line asks for a line that is shown as it is typed, without its newline.
func (t *Terminal) Line(ctx context.Context, prompt string) (string, error) {
	if _, err := io.WriteString(t.out, prompt); err != nil {
		return "", err
	}
	line, err := wait(ctx, t.readLine)
	if err != nil {
		_, _ = io.WriteString(t.out, "\n")
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// readLine reads byte by byte, so that nothing of the next answer is lost.
func (t *Terminal) readLine() ([]byte, error) {
	var line []byte
	var b [1]byte
	for len(line) < maxLine {
		n, err := t.in.Read(b[:])
		if n == 1 && b[0] == '\n' {
			return line, nil
		}
		if n == 1 {
			line = append(line, b[0])
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the line is too long")
}

// wait runs a read that cannot be interrupted; when ctx ends first it is left alone
// and ends with the process.
func wait(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := read()
		done <- answer{line, err}
	}()
	select {
	case a := <-done:
		// Ctrl-C may end the read and the context at the same moment.
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return a.line, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Columns is how wide the terminal is now, if it knows.
func (t *Terminal) Columns() (n int, known bool) { return Columns(t.out) }

// Columns is how wide a terminal is now, if it knows.
func Columns(f *os.File) (n int, known bool) {
	n, _, err := term.GetSize(int(f.Fd()))
	return n, err == nil && n > 0
}

// Escapes reports whether f is a terminal that takes escape sequences.
func Escapes(f *os.File) bool { return Is(f) && colours(f) }

// Is reports whether f is a terminal.
func Is(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
