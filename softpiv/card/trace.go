package card

import (
	"encoding/hex"
	"fmt"
	"io"
)

// traceLines is how many lines Trace keeps.
const traceLines = 4096

// tracer keeps what was said, without the secrets.
type tracer struct {
	w      io.Writer
	lines  []string
	hidden bool // the answer under way is secret, or its rest
}

// Trace gives the latest commands and answers, oldest first: "> " command, "< "
// answer, "- " what happened. PINs, PUKs, management keys and imported keys are
// stars.
func (c *Card) Trace() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.log.lines...)
}

func (t *tracer) add(line string) {
	if len(t.lines) == traceLines {
		t.lines = append(t.lines[:0], t.lines[traceLines/2:]...)
	}
	t.lines = append(t.lines, line)
	if t.w != nil {
		_, _ = fmt.Fprintln(t.w, line)
	}
}

func (t *tracer) note(s string) { t.add("- " + s) }

func (t *tracer) sent(apdu []byte) {
	if len(apdu) < 2 || apdu[1] != insGetResponse {
		t.hidden = secretAnswer(apdu)
	}
	if n := len(apdu) - 5; n > 0 && secretInput(apdu) {
		t.add(fmt.Sprintf("> %s *** %d bytes", hex.EncodeToString(apdu[:5]), n))
		return
	}
	t.add("> " + hex.EncodeToString(apdu))
}

func (t *tracer) answered(b []byte) {
	if n := len(b) - 2; n > 0 && t.hidden {
		t.add(fmt.Sprintf("< *** %d bytes %s", n, hex.EncodeToString(b[n:])))
		return
	}
	t.add("< " + hex.EncodeToString(b))
}

// secretInput reports whether a command's data must not be shown.
func secretInput(apdu []byte) bool {
	switch apdu[1] {
	case insVerify, insChangeReference, insResetRetry, insSetManagement, insImport:
		return true
	case insPutData:
		return mentions(apdu, objectPrinted)
	}
	return false
}

// secretAnswer: the object with the PIN-protected management key.
func secretAnswer(apdu []byte) bool {
	return len(apdu) > 5 && apdu[1] == insGetData && mentions(apdu, objectPrinted)
}

// mentions reports whether the data begins with the tag of an object (5C 03 tag).
func mentions(apdu []byte, object string) bool {
	return len(apdu) >= 10 && hex.EncodeToString(apdu[5:10]) == "5c03"+object
}
