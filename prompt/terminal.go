package prompt

import (
	"context"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tty"
)

// Terminal is the controlling terminal, where people are asked.
type Terminal struct {
	t *tty.Terminal
}

// OpenTerminal opens it; tty.ErrNone if there is none.
func OpenTerminal() (*Terminal, error) {
	t, err := tty.Open()
	if err != nil {
		return nil, err
	}
	return &Terminal{t}, nil
}

// Hush shows nothing of what is typed until it is given back.
func (t *Terminal) Hush() (giveBack func()) { return t.t.Hush() }

// Close closes it.
func (t *Terminal) Close() error { return t.t.Close() }

// Secret asks for a line without showing it.
func (t *Terminal) Secret(ctx context.Context, question Text) ([]byte, error) {
	return t.t.Secret(ctx, t.wrapped(question))
}

// Line asks for a line that is shown as it is typed.
func (t *Terminal) Line(ctx context.Context, question Text) (string, error) {
	return t.t.Line(ctx, t.wrapped(question))
}

// Say writes a line.
func (t *Terminal) Say(text Text) {
	_, _ = t.t.Write([]byte(t.wrapped(text) + "\n"))
}

func (t *Terminal) wrapped(text Text) string {
	width, known := t.t.Columns()
	if !known {
		return text.s
	}
	// The blank before the cursor stays.
	s := strings.Join(wrap(strings.TrimRight(text.s, " "), max(width-1, minWidth), more), "\n")
	if strings.HasSuffix(text.s, " ") {
		s += " "
	}
	return s
}
