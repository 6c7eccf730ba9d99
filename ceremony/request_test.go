package ceremony_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// altered gives the request with one top-level field replaced.
func (b *bench) altered(t *testing.T, field, value string) []byte {
	t.Helper()
	var top map[string]json.RawMessage
	check(t, json.Unmarshal(b.request, &top))
	top[field] = json.RawMessage(value)
	data, err := json.Marshal(top)
	check(t, err)
	return data
}

// TestParseRefuses: whatever is not exactly what "request" writes.
func TestParseRefuses(t *testing.T) {
	b := newBench(t)
	replaced := func(old, with string) []byte {
		if !bytes.Contains(b.request, []byte(old)) {
			t.Fatalf("the request holds no %s", old)
		}
		return bytes.Replace(b.request, []byte(old), []byte(with), 1)
	}
	words := func(n int) string { return `["` + strings.Repeat("x", n) + `"]` }
	for name, data := range map[string][]byte{
		"nothing":                       {},
		"half of it":                    b.request[:len(b.request)/2],
		"something behind it":           append(bytes.Clone(b.request), "{}"...),
		"twice":                         append(bytes.Clone(b.request), b.request...),
		"not UTF-8":                     replaced(`"intents":["`, "\"intents\":[\"\xff"),
		"no object":                     []byte(`["fleet_hsm_request"]`),
		"no request":                    []byte(`{"signed":{}}`),
		"a field that is not known":     b.altered(t, "extra", `1`),
		"a field in other letters":      replaced(`"roots":`, `"Roots":`),
		"a field that stands twice":     replaced(`{"fleet_hsm_request":1,`, `{"fleet_hsm_request":1,"intents":[],`),
		"another format":                b.altered(t, "fleet_hsm_request", `0`),
		"a field of another type":       b.altered(t, "roots", `{}`),
		"nested too deep":               b.altered(t, "extra", strings.Repeat("[", 100)+strings.Repeat("]", 100)),
		"an intent too long":            b.altered(t, "intents", words(4001)),
		"too many intents":              b.altered(t, "intents", `["x"`+strings.Repeat(`,"x"`, 1000)+`]`),
		"no description":                b.altered(t, "description", `null`),
		"another description":           b.altered(t, "description", `[]`),
		"a description of another time": replaced(`"to":2`, `"to":3`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ceremony.Parse("change.request", data, time.Now())
			var e *ceremony.Error
			if !errors.As(err, &e) || !errors.Is(err, ceremony.ErrRequest) {
				t.Fatalf("Parse: %v; want a *ceremony.Error", err)
			}
			if e.File != "change.request" || e.Reason == "" {
				t.Errorf("the error says file %q, reason %q", e.File, e.Reason)
			}
		})
	}
}

// TestDescriptionIsOfTheBytes: whoever alters what is to be signed has to alter the
// description too, and then the hash that the holders compare is another.
func TestDescriptionIsOfTheBytes(t *testing.T) {
	b, other := newBench(t), newBench(t)
	var mine, theirs map[string]json.RawMessage
	check(t, errors.Join(json.Unmarshal(b.request, &mine), json.Unmarshal(other.request, &theirs)))
	mine["description"] = theirs["description"]
	data, err := json.Marshal(mine)
	check(t, err)
	if _, err := ceremony.Parse("change.request", data, time.Now()); !errors.Is(err, ceremony.ErrRequest) {
		t.Errorf("a description of another change was taken: %v", err)
	}
}

func TestParseLooksAtTheClock(t *testing.T) {
	b := newBench(t)
	_, err := ceremony.Parse("change.request", b.request, time.Now().Add(200_000*time.Hour))
	var expired *meta.ExpiredError
	if !errors.As(err, &expired) {
		t.Errorf("Parse of what is expired: %v", err)
	}
}

func TestSame(t *testing.T) {
	b, other := newBench(t), newBench(t)
	parse := func(data []byte) *ceremony.Request {
		t.Helper()
		q, err := ceremony.Parse("change.request", data, time.Now())
		check(t, err)
		return q
	}
	mine, signed := parse(b.request), parse(b.request)
	b.sign(t, signed.Change.Docs()[0], 1)
	data, err := signed.Bytes()
	check(t, err)
	if bytes.Equal(data, b.request) {
		t.Fatal("nothing was signed")
	}
	if again := parse(data); !mine.Same(again) || !again.Same(mine) {
		t.Error("one more signature makes it another request")
	}
	if theirs := parse(other.request); mine.Same(theirs) || theirs.Same(mine) {
		t.Error("a request of another repository is said to be the same")
	}
	renewed, err := edit.Renew(b.r, b.p, nil, meta.RoleRoot, repo.StageOptions{Expiries: meta.Expiries{meta.RoleRoot: 90000 * time.Hour}})
	check(t, err)
	longer, err := edit.Renew(b.r, b.p, nil, meta.RoleRoot, repo.StageOptions{Expiries: meta.Expiries{meta.RoleRoot: 95000 * time.Hour}})
	check(t, err)
	var two []*ceremony.Request
	for _, c := range []*repo.Change{renewed, longer} {
		q, err := ceremony.New(b.r, b.p, c, nil)
		check(t, err)
		two = append(two, q)
	}
	if two[0].Same(two[1]) || !two[0].Same(two[0]) {
		t.Error("two roots of one repository that differ in their expiry are said to be the same")
	}
	fewer := parse(b.request)
	fewer.Chain = nil
	if mine.Same(fewer) {
		t.Error("a request without its chain is said to be the same")
	}
}

func TestCardOfARequest(t *testing.T) {
	b := newBench(t)
	q, err := ceremony.Parse("change.request", b.request, time.Now())
	check(t, err)
	review, err := q.Review(meta.Expiries{}, time.Now())
	check(t, err)
	var roles []string
	for _, rc := range review.Roles {
		roles = append(roles, rc.Role)
		if d := q.Change.Doc(rc.Role); d == nil || d.Hash() != rc.Hash {
			t.Errorf("the review of %s shows another hash than that of the bytes to be signed", rc.Role)
		}
	}
	if strings.Join(roles, " ") != "root targets" {
		t.Errorf("the review is of %v; want root and targets", roles)
	}
}

// TestRequestOfANewRepository: init with a holder elsewhere; no root is published yet.
func TestRequestOfANewRepository(t *testing.T) {
	b := &bench{r: repo.Open(t.TempDir(), repo.Options{}), keys: map[tuf.KeyID]ed25519.PrivateKey{}}
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{b.key(t)}
	}
	c, err := b.r.Init(repo.InitOptions{Keys: keys, Consistent: true})
	check(t, err)
	made, err := ceremony.New(b.r, nil, c, nil)
	check(t, err)
	data, err := made.Bytes()
	check(t, err)
	read, err := ceremony.Parse("init.request", data, time.Now())
	check(t, err)
	if len(read.Chain) != 0 || read.Published != nil || !read.Same(made) {
		t.Errorf("chain %v, published %v, same %v; want none, none, true", read.Chain, read.Published, read.Same(made))
	}
	for _, d := range read.Change.Docs() {
		b.sign(t, d, 1)
	}
	if !read.Change.Met() {
		t.Error("one key for each role has signed, and it is not enough")
	}
}

// TestNewRefusesWhatNobodyShouldSign: the same checks as for one that was read.
func TestNewRefusesWhatNobodyShouldSign(t *testing.T) {
	b := &bench{keys: map[tuf.KeyID]ed25519.PrivateKey{}}
	now := time.Now()
	b.r = repo.Open(t.TempDir(), repo.Options{Now: func() time.Time { return now.AddDate(-20, 0, 0) }})
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{b.key(t)}
	}
	c, err := b.r.Init(repo.InitOptions{Keys: keys})
	check(t, err)
	later := repo.Open(b.r.Dir(), repo.Options{Now: func() time.Time { return now }})
	var expired *meta.ExpiredError
	if _, err := ceremony.New(later, nil, c, nil); !errors.As(err, &expired) {
		t.Errorf("a request of an expired root: %v", err)
	}
}
