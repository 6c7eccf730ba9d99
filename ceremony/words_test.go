package ceremony_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
)

// TestWordsOfARequest: what is only talk can be shown on a terminal as it stands, and is
// bounded (DESIGN 2, hostile input).
func TestWordsOfARequest(t *testing.T) {
	b := newBench(t)
	quote := func(s string) string {
		data, err := json.Marshal(s)
		check(t, err)
		return string(data)
	}
	id := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		field, value string
		ok           bool
	}{
		"an intent":                        {"intents", `["add orbit"]`, true},
		"an intent of letters of anybody":  {"intents", `["añadir órbita 軌道"]`, true},
		"an intent with an escape":         {"intents", "[" + quote("a\x1b[2J") + "]", false},
		"an intent of two lines":           {"intents", "[" + quote("a\nb") + "]", false},
		"an intent that hides a character": {"intents", "[" + quote("a\u200bb") + "]", false},
		"an intent that turns the text":    {"intents", "[" + quote("a\u202eb") + "]", false},
		"an intent as long as may be":      {"intents", "[" + quote(strings.Repeat("x", 4000)) + "]", true},
		"a name":                           {"keys", `{"` + id + `":{"name":"blue"}}`, true},
		"a name with an escape":            {"keys", `{"` + id + `":{"name":` + quote("\x1b]0;x\a") + `}}`, false},
		"a name that is long":              {"keys", `{"` + id + `":{"name":` + quote(strings.Repeat("x", 4001)) + `}}`, false},
		"an attestation":                   {"keys", `{"` + id + `":{"attestation":` + quote(strings.Repeat("x", 64<<10)) + `}}`, true},
		"an attestation that is long":      {"keys", `{"` + id + `":{"attestation":` + quote(strings.Repeat("x", 64<<10+1)) + `}}`, false},
		"a place with a module":            {"keys", `{"` + id + `":{"uri":"pkcs11:token=a?module-path=/x.so"}}`, false},
		"a place":                          {"keys", `{"` + id + `":{"uri":"piv:serial=1;slot=9c"}}`, true},
		"a key ID that is none":            {"keys", `{"../x":{"name":"blue"}}`, false},
		"a hint of another kind":           {"keys", `{"` + id + `":{"pin":"1234"}}`, false},
	} {
		_, err := ceremony.Parse("change.request", b.altered(t, c.field, c.value), time.Now())
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ceremony.ErrRequest) {
			t.Errorf("%s: %v; taken should be %v", name, err, c.ok)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\a\u202e\u200b") {
			t.Errorf("%s: the error repeats it raw: %q", name, err)
		}
	}
}

// TestErrorsKeepTheirCause: hints look at types, never at text.
func TestErrorsKeepTheirCause(t *testing.T) {
	b := newBench(t)
	data := b.altered(t, "keys", `{"`+strings.Repeat("0", 64)+`":{"uri":"x:y=z"}}`)
	_, err := ceremony.Parse("change.request", data, time.Now())
	var refused *ceremony.Error
	var cause *locator.Error
	if !errors.As(err, &refused) || refused.Err == nil || !errors.Is(err, refused.Err) || !errors.As(err, &cause) {
		t.Errorf("%v; want an *Error with its cause", err)
	}
	if !strings.HasPrefix(err.Error(), `request "change.request": `) {
		t.Errorf("it does not begin with the file: %v", err)
	}
}

// TestTheBytesComeBack: a request without intents and hints is written as one that is read.
func TestTheBytesComeBack(t *testing.T) {
	b := newBench(t)
	q, err := ceremony.Parse("change.request", b.altered(t, "keys", `{}`), time.Now())
	check(t, err)
	q.Hints = nil
	first, err := q.Bytes()
	check(t, err)
	again, err := ceremony.Parse("change.request", first, time.Now())
	check(t, err)
	if len(again.Hints) != 0 || !again.Same(q) {
		t.Errorf("hints %v, same %v", again.Hints, again.Same(q))
	}
	second, err := again.Bytes()
	check(t, err)
	if string(first) != string(second) {
		t.Error("read and written again, the bytes differ")
	}
}
