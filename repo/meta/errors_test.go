package meta_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestErrors: each says in a line what failed, and errors.Is knows its cause.
func TestErrors(t *testing.T) {
	kr := repotest.Keyring{}
	k := kr.Make(t)
	now := time.Date(2030, 1, 10, 12, 0, 0, 0, time.UTC)
	expired := func(ago time.Duration) error {
		return &meta.ExpiredError{Role: "root", Version: 2, Expired: now.Add(-ago), Now: now}
	}
	for _, c := range []struct {
		err  error
		is   error
		text string
	}{
		{&meta.FileError{File: "root.json", Reason: "unreadable", Err: fs.ErrPermission}, meta.ErrMetadata, `"root.json": unreadable: permission denied`},
		{&meta.FileError{File: "root.json", Err: fs.ErrPermission}, fs.ErrPermission, `"root.json": permission denied`},
		{expired(72 * time.Hour), meta.ErrExpired, "root v2 expired 3 days ago (2030-01-07T12:00:00Z); clients refuse it"},
		{expired(3 * time.Hour), meta.ErrExpired, "root v2 expired 3 hours ago (2030-01-10T09:00:00Z); clients refuse it"},
		{expired(time.Second), meta.ErrExpired, "root v2 expired 1s ago (2030-01-10T11:59:59Z); clients refuse it"},
		{&meta.NameError{What: "platform", Value: "beos", Reason: "nobody asks for it"}, meta.ErrName, `platform "beos": nobody asks for it`},
		{meta.Refuse(meta.NoChange, "nothing would %s", "change"), meta.ErrRefused, "nothing would change"},
		{&meta.ShortError{Role: "root", Version: 2, Have: 1, Need: 2, Missing: []meta.Key{k}}, meta.ErrShort, "root v2 has 1 of 2 signatures; keys that could still sign: " + k.ShortID()},
		{&meta.SignatureError{Role: "root", KeyID: k.ID, Err: fs.ErrInvalid}, fs.ErrInvalid, "signature of key " + k.ID.Short() + " over root: invalid argument"},
	} {
		if c.err.Error() != c.text || !errors.Is(c.err, c.is) {
			t.Errorf("%q; want %q, which is %v", c.err, c.text, c.is)
		}
	}
}

// TestFileNames: what a name is made of is read from it again.
func TestFileNames(t *testing.T) {
	if got := meta.FileName("root", 0); got != "root.json" || meta.IsNumbered(got) {
		t.Error(got)
	}
	if got := meta.FileName("archive-orbit", 12); got != "12.archive-orbit.json" || !meta.IsNumbered(got) {
		t.Error(got)
	}
	for file, want := range map[string][2]string{
		"12.archive-orbit.json": {"12", "archive-orbit"}, "1.root.json": {"1", "root"},
		"0.root.json": {}, "01.root.json": {}, "root.json": {}, "1.root.txt": {}, "1./root.json": {}, "1..json": {}, "12345678901234567.root.json": {},
	} {
		number, role, ok := meta.SplitNumbered(file)
		if number != want[0] || role != want[1] || ok != (role != "") {
			t.Errorf("%q: %q, %q, %t", file, number, role, ok)
		}
	}
}

// TestKeyForms: a key has the ID that its form gives it; one of another form is another.
func TestKeyForms(t *testing.T) {
	kr := repotest.Keyring{}
	a, b := kr.Make(t), kr.Make(t)
	if !a.OwnID() || !meta.SameObject(a, a) || meta.SameObject(a, b) || !meta.HasKey([]meta.Key{b, a}, a.ID) || meta.HasKey([]meta.Key{b}, a.ID) {
		t.Error("keys are not told apart")
	}
	b.ID = a.ID
	if b.OwnID() {
		t.Error("an ID of another key is its own")
	}
}
