package tuf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf/tuftest"
)

// read is what every package does with a file first.
func read(data []byte, role string) error {
	env, err := tuf.OpenEnvelope(data)
	if err != nil {
		return err
	}
	if role == tuf.Root {
		_, err = tuf.ParseRoot(env.Signed)
		return err
	}
	var head struct {
		tuf.Header
		Meta map[string]tuf.FileMeta `json:"meta"`
	}
	if err := json.Unmarshal(env.Signed, &head); err != nil {
		return err
	}
	return head.Check(role)
}

func TestOddMetadata(t *testing.T) {
	t.Parallel()
	for _, c := range tuftest.Cases(t) {
		if err := read(c.Data, c.Role); (err == nil) != c.OK {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func TestWhatARootSays(t *testing.T) {
	t.Parallel()
	env, err := tuf.OpenEnvelope(tuftest.Root())
	if err != nil {
		t.Fatal(err)
	}
	r, err := tuf.ParseRoot(env.Signed)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range tuf.Roles() {
		if ro := r.Roles[role]; ro.Threshold != 1 || len(ro.KeyIDs) != 1 || r.Keys[ro.KeyIDs[0]] == nil {
			t.Errorf("%s: %+v", role, ro)
		}
	}
	if r.Version != 1 || !r.Consistent || r.Expires.Year() != 2030 || len(env.Signatures) != 1 {
		t.Errorf("%+v, %v", r, env.Signatures)
	}
}

func TestFileMeta(t *testing.T) {
	t.Parallel()
	data := []byte("the content")
	both := tuf.HashesOf(data)
	wrong := tuf.HashesOf([]byte("another"))
	for name, c := range map[string]struct {
		hashes   tuf.Hashes
		length   int64
		fits, is bool // fits: as metadata; is: as a target, which must have a hash
	}{
		"both hashes":              {both, 11, true, true},
		"SHA-512":                  {tuf.Hashes{"sha512": both["sha512"]}, 11, true, true},
		"SHA-256":                  {tuf.Hashes{"sha256": both["sha256"]}, 11, true, true},
		"one that nobody knows":    {tuf.Hashes{"md5": "00"}, 11, false, false},
		"and one nobody knows":     {tuf.Hashes{"sha256": both["sha256"], "md5": "00"}, 11, true, true},
		"no hash":                  {nil, 11, true, false},
		"another SHA-512":          {tuf.Hashes{"sha512": wrong["sha512"], "sha256": both["sha256"]}, 11, false, false},
		"another SHA-256":          {tuf.Hashes{"sha512": both["sha512"], "sha256": wrong["sha256"]}, 11, false, false},
		"shorter than it says":     {both, 12, false, false},
		"longer than it says":      {both, 10, false, false},
		"an empty hash":            {tuf.Hashes{"sha512": ""}, 11, false, false},
		"no length, for metadata":  {both, 0, true, false},
		"no length and wrong hash": {wrong, 0, false, false},
	} {
		m := tuf.FileMeta{Version: 1, Length: c.length, Hashes: c.hashes}
		if err := m.Fits(data); (err == nil) != c.fits {
			t.Errorf("%s: fits: %v", name, err)
		}
		var other *tuf.MismatchError
		if err := m.Copy(io.Discard, bytes.NewReader(data)); (err == nil) != c.is || err != nil && !errors.As(err, &other) {
			t.Errorf("%s: copied: %v", name, err)
		}
	}
	if err := (tuf.FileMeta{Length: 3, Hashes: both}).Copy(io.Discard, io.MultiReader(strings.NewReader("x"), errReader{})); errors.As(err, new(*tuf.MismatchError)) || err == nil {
		t.Errorf("a reader that failed: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestHashesAreLowerCase(t *testing.T) {
	t.Parallel()
	var m tuf.FileMeta
	if err := json.Unmarshal([]byte(`{"hashes":{"sha256":"0AFF"}}`), &m); err != nil || m.Hashes["sha256"] != "0aff" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	a, b := tuf.HashesOf([]byte("a")), tuf.HashesOf([]byte("b"))
	for name, c := range map[string]struct {
		x, y          tuf.FileMeta
		same, content bool
	}{
		"the same":        {tuf.FileMeta{1, 1, a}, tuf.FileMeta{1, 1, a}, true, true},
		"another version": {tuf.FileMeta{1, 1, a}, tuf.FileMeta{2, 1, a}, false, true},
		"another hash":    {tuf.FileMeta{1, 1, a}, tuf.FileMeta{1, 1, b}, false, false},
		"another length":  {tuf.FileMeta{1, 1, a}, tuf.FileMeta{1, 2, a}, true, false},
		"no hashes":       {tuf.FileMeta{1, 1, nil}, tuf.FileMeta{1, 1, nil}, false, false},
		"one hash each":   {tuf.FileMeta{1, 1, tuf.Hashes{"sha512": a["sha512"]}}, tuf.FileMeta{1, 1, tuf.Hashes{"sha256": a["sha256"]}}, false, false},
	} {
		if got := c.x.Same(c.y); got != c.same {
			t.Errorf("%s: Same %v", name, got)
		}
		if got := c.x.SameContent(c.y); got != c.content {
			t.Errorf("%s: SameContent %v", name, got)
		}
	}
}
