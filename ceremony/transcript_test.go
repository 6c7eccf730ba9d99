package ceremony_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
)

// written is a transcript of n events.
func written(t *testing.T, n int) (file string, lines [][]byte) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "transcript")
	for i := range n {
		check(t, ceremony.Append(file, ceremony.Event{Event: ceremony.EventNote, Note: strings.Repeat("n", i+1)}))
	}
	data, err := os.ReadFile(file)
	check(t, err)
	return file, bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func put(t *testing.T, file string, lines ...[]byte) {
	t.Helper()
	check(t, os.WriteFile(file, slices.Concat(lines...), 0o600))
}

func TestTranscriptHolds(t *testing.T) {
	file, lines := written(t, 4)
	events, last, err := ceremony.ReadTranscript(file)
	check(t, err)
	if len(events) != 4 {
		t.Fatalf("%d events; want 4", len(events))
	}
	for i, e := range events {
		want := ""
		if i > 0 {
			sum := sha256.Sum256(bytes.TrimSuffix(lines[i-1], []byte("\n")))
			want = hex.EncodeToString(sum[:])
		}
		if e.Line != i+1 || e.Previous != want || e.Time.IsZero() || e.Note != strings.Repeat("n", i+1) {
			t.Errorf("event %d: %+v; want line %d after %q", i, e, i+1, want)
		}
	}
	if sum := sha256.Sum256(lines[3]); last != hex.EncodeToString(sum[:]) {
		t.Errorf("last hash %s is not that of the last line", last)
	}
}

// TestTranscriptNotices: whatever is done to it besides cutting whole lines off its end.
func TestTranscriptNotices(t *testing.T) {
	file, l := written(t, 4)
	nl := []byte("\n")
	for name, c := range map[string]struct {
		lines [][]byte
		line  int
	}{
		"a letter is changed":              {[][]byte{bytes.Replace(l[0], []byte(`"n"`), []byte(`"m"`), 1), l[1], l[2], l[3], nl}, 2},
		"a line has another number":        {[][]byte{bytes.Replace(l[0], []byte(`"line":1`), []byte(`"line":2`), 1)}, 1},
		"a line is taken out":              {[][]byte{l[0], l[2], l[3], nl}, 2},
		"the first line is taken out":      {[][]byte{l[1], l[2], l[3], nl}, 1},
		"a line stands twice":              {[][]byte{l[0], l[1], l[1], l[2], nl}, 3},
		"two lines changed places":         {[][]byte{l[0], l[2], l[1], l[3], nl}, 2},
		"the last line is cut off":         {[][]byte{l[0], l[1], l[2][:len(l[2])/2]}, 3},
		"an unknown field":                 {[][]byte{bytes.Replace(l[0], []byte(`{`), []byte(`{"x":1,`), 1)}, 1},
		"a field that stands twice":        {[][]byte{bytes.Replace(l[0], []byte(`{`), []byte(`{"note":"n",`), 1)}, 1},
		"a line that is no JSON":           {[][]byte{[]byte("hello\n")}, 1},
		"something stands behind an event": {[][]byte{bytes.Replace(l[0], []byte("\n"), []byte("{}\n"), 1)}, 1},
		"a line with another value in it":  {[][]byte{[]byte(`{"line":"1"}` + "\n")}, 1},
		"nothing in it":                    {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, file, c.lines...)
			_, _, err := ceremony.ReadTranscript(file)
			var e *ceremony.TranscriptError
			if !errors.As(err, &e) || !errors.Is(err, ceremony.ErrTranscript) {
				t.Fatalf("ReadTranscript: %v; want a *TranscriptError", err)
			}
			if e.Line != c.line || e.File != file || e.Reason == "" {
				t.Errorf("%+v; want line %d", e, c.line)
			}
			if e.Error() == "" || (c.line > 0) != strings.Contains(e.Error(), ", line ") {
				t.Errorf("it reads %q", e)
			}
		})
	}
}

func TestAppendGoesOnAfterACrash(t *testing.T) {
	file, l := written(t, 3)
	put(t, file, l[0], l[1], l[2][:len(l[2])/2])
	check(t, ceremony.Append(file, ceremony.Event{Event: ceremony.EventEnd}))
	events, _, err := ceremony.ReadTranscript(file)
	check(t, err)
	if len(events) != 3 || events[2].Event != ceremony.EventEnd {
		t.Errorf("%d events, the last %q; want the half line replaced", len(events), events[len(events)-1].Event)
	}
	// Nothing but half a line: nothing was ever told to be written.
	put(t, file, l[0][:5])
	check(t, ceremony.Append(file, ceremony.Event{Event: ceremony.EventStart}))
	if events, _, err = ceremony.ReadTranscript(file); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v; want 1", len(events), err)
	}
}

func TestAppendRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "transcript")
	for name, content := range map[string]string{
		"a last line that is no event":      "hello\n",
		"an event without a number":         "{}\n",
		"a line that is longer than events": strings.Repeat("x", 3<<20),
	} {
		t.Run(name, func(t *testing.T) {
			check(t, os.WriteFile(file, []byte(content), 0o600))
			if err := ceremony.Append(file, ceremony.Event{Event: ceremony.EventStart}); err == nil {
				t.Error("it was appended to")
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != content {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	var e *ceremony.TranscriptError
	if err := ceremony.Append("/dev/null", ceremony.Event{}); !errors.As(err, &e) {
		t.Errorf("a device: %v; want a *TranscriptError", err)
	}
	if err := ceremony.Append(filepath.Join(dir, "no", "folder"), ceremony.Event{}); err == nil {
		t.Error("a folder that is not there was taken")
	}
	if _, _, err := ceremony.ReadTranscript(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading what is not there: %v", err)
	}
}

// TestManyWriters: two commands may write to one transcript.
func TestManyWriters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "transcript")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if err := ceremony.Append(file, ceremony.Event{Event: ceremony.EventNote}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if events, _, err := ceremony.ReadTranscript(file); err != nil || len(events) != 40 {
		t.Errorf("%d events, %v; want 40", len(events), err)
	}
}

// TestSigned: what was signed and never published does not count, but for roles that are
// signed to be published at once; a line of anybody's says nothing.
func TestSigned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "transcript")
	signature := func(role string, version int64) ceremony.Event {
		return ceremony.Event{Event: ceremony.EventSignature, Role: role, Version: version}
	}
	for _, e := range []ceremony.Event{
		signature("root", 2), signature("root", 3), signature("targets", 5), signature("snapshot", 6), signature("timestamp", 7),
		{Event: ceremony.EventCommit, Published: map[string]int64{"root": 2, "targets": 4}},
	} {
		check(t, ceremony.Append(file, e))
	}
	data, err := os.ReadFile(file)
	check(t, err)
	check(t, os.WriteFile(file, append([]byte("none of ours\n"), data[:len(data)-1]...), 0o600))
	events, err := ceremony.Signed(file)
	check(t, err)
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s %d", e.Role, e.Version))
	}
	if want := []string{"root 2", "snapshot 6", "timestamp 7"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if events, err := ceremony.Signed(filepath.Join(t.TempDir(), "gone")); err != nil || len(events) != 0 {
		t.Errorf("without a file: %v, %v", events, err)
	}
}
