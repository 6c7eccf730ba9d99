package ceremony

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// ErrTranscript: a transcript whose chain or whose signatures do not hold.
var ErrTranscript = errors.New("transcript does not verify")

// TranscriptError says which line of a transcript is wrong, and why.
type TranscriptError struct {
	File   string
	Line   int // 0 for the whole file
	Reason string
}

func (e *TranscriptError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("transcript %q: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("transcript %q, line %d: %s", e.File, e.Line, e.Reason)
}

// Is makes errors.Is(err, ErrTranscript) hold.
func (e *TranscriptError) Is(target error) bool { return target == ErrTranscript }

// The kinds of event.
const (
	EventStart     = "start"     // a command begins
	EventReview    = "card"      // the review was shown, or its hash was given
	EventSignature = "signature" // a key has signed
	EventCommit    = "commit"    // metadata was published
	EventNote      = "note"      // what the operator wrote
	EventEnd       = "end"       // a command is over
)

// Event is one line of a transcript. Which fields are set depends on Event.
type Event struct {
	Line     int       `json:"line"`     // from 1
	Time     time.Time `json:"time"`     // by this machine's clock
	Previous string    `json:"previous"` // SHA-256 of the line before without its newline, hex; "" in line 1
	Event    string    `json:"event"`
	Command  string    `json:"command,omitempty"`
	Person   string    `json:"person,omitempty"` // login name of whoever ran it
	Machine  string    `json:"machine,omitempty"`
	Role     string    `json:"role,omitempty"`
	Version  int64     `json:"version,omitempty"`
	// SHA256 is the hash of the payload (of "signed" in canonical form), hex.
	SHA256    string    `json:"sha256,omitempty"`
	KeyID     tuf.KeyID `json:"keyid,omitzero"`
	Key       string    `json:"key,omitempty"`       // URI, never with a query
	Device    string    `json:"device,omitempty"`    // serial number or token label
	Signature string    `json:"signature,omitempty"` // hex
	// Attestation is the SHA-256 of the stored certificate chain of the key, hex.
	Attestation string           `json:"attestation,omitempty"`
	Published   map[string]int64 `json:"published,omitempty"`
	Note        string           `json:"note,omitempty"`
	Outcome     string           `json:"outcome,omitempty"`
}

// maxLine and maxTranscript bound what is read, in bytes.
const (
	maxLine       = 1 << 20
	maxTranscript = 256 << 20
)

// Signed gives the signatures that a transcript holds over what was published: those over
// root and targets whose version some command published, and those over snapshot and
// timestamp, which are signed to be published at once. The chain is not checked: a line
// that is none of ours says nothing, and a file that is not there has none.
func Signed(file string) ([]Event, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	defer func() { _ = f.Close() }()
	var signatures []Event
	type version struct {
		role string
		n    int64
	}
	published := map[version]bool{}
	lines := bufio.NewScanner(io.LimitReader(f, maxTranscript))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Event == EventSignature {
			signatures = append(signatures, e)
		}
		for role, n := range e.Published {
			published[version{role, n}] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("transcript %q: %w", file, err)
	}
	return slices.DeleteFunc(signatures, func(e Event) bool {
		staged := e.Role != meta.RoleSnapshot && e.Role != meta.RoleTimestamp
		return staged && !published[version{e.Role, e.Version}]
	}), nil
}

// Append adds an event at the end of a transcript and makes it durable; Line, Time (if
// it is zero) and Previous are filled in. The file is made if it is absent (mode
// 0644) and locked meanwhile, so two commands may write to one. A last line that was
// cut off by a crash is taken away: nobody was told that it was written. Errors:
// *TranscriptError if the last line is none of ours.
func Append(file string, e Event) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("transcript: %w", err)
	}
	err = appendTo(f, file, e)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("transcript: %w", cerr)
	}
	return err
}

func appendTo(f *os.File, name string, e Event) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return &TranscriptError{File: name, Reason: "is not a regular file"}
	}
	if err := osfile.Lock(context.Background(), f); err != nil {
		return fmt.Errorf("transcript %q: %w", name, err)
	}
	end, last, err := lastLine(f)
	if err != nil {
		return err
	}
	e.Line, e.Previous = 1, ""
	if last != nil {
		var before Event
		if err := json.Unmarshal(last, &before); err != nil || before.Line < 1 {
			return &TranscriptError{File: name, Reason: "its last line is not an event; nothing was appended"}
		}
		e.Line, e.Previous = before.Line+1, hashLine(last)
	}
	if e.Time.IsZero() {
		e.Time = time.Now().UTC().Truncate(time.Millisecond)
	}
	line, err := encode(e)
	if err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(line, end); err != nil {
		// Half a line would only be taken away by the next event; better now.
		return errors.Join(fmt.Errorf("writing transcript %q: %w", name, err), f.Truncate(end))
	}
	return f.Sync()
}

// lastLine gives the last whole line and where the next one begins.
func lastLine(f *os.File) (end int64, last []byte, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return 0, nil, err
	}
	from := max(0, size-2*maxLine)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return 0, nil, err
	}
	i := bytes.LastIndexByte(tail, '\n')
	if i < 0 {
		if from > 0 {
			return 0, nil, errors.New("the transcript ends with a line that is too long")
		}
		return 0, nil, nil
	}
	tail = tail[:i]
	return from + int64(i) + 1, tail[bytes.LastIndexByte(tail, '\n')+1:], nil
}

func hashLine(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// ReadTranscript reads a transcript and checks its chain: every line names the hash
// of the one before it. What was cut off at the end cannot be seen in the file alone:
// compare its last hash, which is returned, with the one that was noted on paper.
// Errors: *TranscriptError.
func ReadTranscript(file string) (events []Event, last string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	bad := func(line int, format string, args ...any) ([]Event, string, error) {
		return nil, "", &TranscriptError{File: file, Line: line, Reason: fmt.Sprintf(format, args...)}
	}
	r := bufio.NewReader(io.LimitReader(f, maxTranscript))
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			return bad(n, "is cut off")
		}
		if err != nil {
			return nil, "", err
		}
		line = line[:len(line)-1]
		if err := strict(line); err != nil {
			return bad(n, "%v", err)
		}
		var e Event
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			return bad(n, "%v", err)
		}
		if e.Line != n {
			return bad(n, "says that it is line %d: lines were taken out or put in", e.Line)
		}
		if e.Previous != last {
			return bad(n, "does not follow the line before it: one of the two was altered")
		}
		events, last = append(events, e), hashLine(line)
	}
	if len(events) == 0 {
		return bad(0, "is empty")
	}
	return events, last, nil
}
