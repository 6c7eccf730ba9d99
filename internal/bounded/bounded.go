// Package bounded keeps the output of somebody else's program, which may write without end.
package bounded

import (
	"bytes"
	"errors"
)

// ErrFull is what a writer hears that wrote too much.
var ErrFull = errors.New("more output than is taken")

// Output keeps the first bytes that are written to it.
type Output struct {
	buf  bytes.Buffer
	most int
	full func()
}

// New makes an output of at most so many bytes; full is called when more come.
func New(most int, full func()) *Output { return &Output{most: most, full: full} }

// Write implements io.Writer. What would be too much is not kept, and nor is any of it.
func (o *Output) Write(p []byte) (int, error) {
	if o.buf.Len()+len(p) > o.most {
		o.full()
		return 0, ErrFull
	}
	return o.buf.Write(p)
}

// Bytes gives what was kept.
func (o *Output) Bytes() []byte { return o.buf.Bytes() }
