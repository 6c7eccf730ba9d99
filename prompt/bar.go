package prompt

import (
	"fmt"
	"time"
)

// Bar shows how far something is that takes longer than a second, on a terminal
// only.
type Bar struct {
	w       *Writer // nil: nobody looks
	what    string
	started time.Time
	drawn   time.Time
}

// NewBar starts a bar on w, if a person looks at it; nil shows nothing.
func NewBar(w *Writer, what string) *Bar {
	b := &Bar{what: what, started: time.Now()}
	if w != nil && w.Terminal() {
		b.w = w
	}
	return b
}

// Shown reports whether anybody sees it.
func (b *Bar) Shown() bool { return b.w != nil }

// Draw draws the bar, ten times a second at most.
func (b *Bar) Draw(done, total int64) {
	now := time.Now()
	if b.w == nil || now.Sub(b.started) < time.Second || now.Sub(b.drawn) < 100*time.Millisecond || total == 0 {
		return
	}
	b.drawn = now
	left := time.Duration(float64(now.Sub(b.started)) / float64(max(done, 1)) * float64(total-done)).Round(time.Second)
	b.w.Bar("%s: %d%% of %s, %s left", b.what, done*100/total, Size(total), left)
}

// End wipes the bar.
func (b *Bar) End() {
	if b.w != nil && !b.drawn.IsZero() {
		b.w.Bar("")
	}
}

// Size writes bytes for people.
func Size(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	case n >= 10_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d B", n)
}
