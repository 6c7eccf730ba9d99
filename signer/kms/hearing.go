package kms

import (
	"bytes"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// What a plug-in says on stderr is shown within these bounds; the rest is dropped.
const (
	maxLine  = 1000
	maxLines = 50
)

// hearing hands what a plug-in says on stderr to the UI, line by line.
type hearing struct {
	program string
	ui      signer.Hearer // nil if it shows nothing
	began   time.Time
	line    []byte
	lines   int
	last    string
}

func newHearing(program string, ui signer.UI) *hearing {
	h := &hearing{program: program, began: time.Now()}
	h.ui, _ = ui.(signer.Hearer)
	return h
}

// Write implements io.Writer. It takes everything: a program must not hang because nobody
// listens.
func (h *hearing) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if room := maxLine - len(h.line); room > 0 {
			h.line = append(h.line, line[:min(room, len(line))]...)
		}
		if whole {
			h.say()
		}
		p = rest
	}
	return n, nil
}

// end says what came without the end of a line.
func (h *hearing) end() { h.say() }

func (h *hearing) say() {
	line := string(bytes.TrimSpace(h.line))
	h.line = h.line[:0]
	if line == "" {
		return
	}
	h.lines++
	h.last = cut(line, maxText)
	switch {
	case h.ui == nil || h.lines > maxLines+1:
	case h.lines > maxLines:
		h.ui.Heard(h.program, fmt.Sprintf("(more than %d lines; the rest is not shown)", maxLines))
	default:
		h.ui.Heard(h.program, line)
	}
}
