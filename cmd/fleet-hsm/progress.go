package main

import (
	"time"

	"github.com/fleet-hsm/fleet-hsm/prompt"
)

// bar shows how far something is that takes longer than a second, on a terminal
// only.
type bar struct {
	w       *prompt.Writer // nil: nobody looks
	what    string
	started time.Time
	drawn   time.Time
}

// progress starts a bar; without a terminal on stderr, or with --json, it shows
// nothing.
func (a *app) progress(what string) *bar {
	b := &bar{what: what, started: time.Now()}
	if a.talk.Terminal() && !a.json {
		b.w = a.talk
	}
	return b
}

// at draws the bar, ten times a second at most.
func (b *bar) at(done, total int64) {
	now := time.Now()
	if b.w == nil || now.Sub(b.started) < time.Second || now.Sub(b.drawn) < 100*time.Millisecond || total == 0 {
		return
	}
	b.drawn = now
	left := time.Duration(float64(now.Sub(b.started)) / float64(max(done, 1)) * float64(total-done)).Round(time.Second)
	b.w.Bar("%s: %d%% of %s, %s left", b.what, done*100/total, size(total), left)
}

// end wipes the bar.
func (b *bar) end() {
	if b.w != nil && !b.drawn.IsZero() {
		b.w.Bar("")
	}
}
