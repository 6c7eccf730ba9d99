package ceremony

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Limits of a request, in bytes and in count.
const (
	MaxRequest     = 192 << 20
	maxIntents     = 1000
	maxIntent      = 4000
	maxKeys        = 1000
	maxAttestation = 64 << 10
)

// format is the value of fleet_hsm_request that this package writes and reads.
const format = 1

// ErrRequest: a file that is not a request, or one that contradicts itself.
var ErrRequest = errors.New("not a request that can be signed")

// Error says which request is refused, and why.
type Error struct {
	File   string
	Reason string
	Err    error // may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("request %q: %s", e.File, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrRequest) hold.
func (e *Error) Is(target error) bool { return target == ErrRequest }

// Hint says where the staging machine believes a key to be. It decides nothing.
type Hint struct {
	URI  locator.Locator `json:"uri,omitzero"`
	Name string          `json:"name,omitempty"`
	// Attestation is a PEM chain, leaf first.
	Attestation string `json:"attestation,omitempty"`
}

// Request is a request that was checked.
type Request struct {
	*bundle.Verified
	Hints map[tuf.KeyID]Hint

	parts bundle.Bundle
}

// file is a request as it is written.
type file struct {
	Format    int               `json:"fleet_hsm_request"`
	Created   time.Time         `json:"created"`
	Roots     []json.RawMessage `json:"roots"`
	Published json.RawMessage   `json:"published_targets,omitempty"`
	Root      json.RawMessage   `json:"root,omitempty"`
	Targets   json.RawMessage   `json:"targets,omitempty"`
	Intents   []string          `json:"intents"`

	Cold          map[string]json.RawMessage `json:"cold,omitempty"`
	PublishedCold map[string]json.RawMessage `json:"published_cold,omitempty"`

	Keys        map[tuf.KeyID]Hint `json:"keys"`
	Description json.RawMessage    `json:"description"`
}

// fields are the names that a request may have, exactly so: encoding/json would take
// "ROOT" for "root".
var fields = []string{
	"fleet_hsm_request", "created", "roots", "published_targets", "root", "targets", "intents", "keys", "description", "cold", "published_cold",
}

// New makes a request of what is staged (p is nil at init). The answer has gone
// through the same checks as one that was read. Errors: as of Parse.
func New(r *repo.Repo, p *repo.Published, c *repo.Change, hints map[tuf.KeyID]Hint) (*Request, error) {
	parts, err := bundle.Export(r, p, c)
	if err != nil {
		return nil, err
	}
	im, err := bundle.Import("the staged change", parts, r.Now())
	if err != nil {
		return nil, err
	}
	return &Request{Verified: im, Hints: hints, parts: parts}, nil
}

// Parse reads and checks a request, by the clock now. name is the file's, for errors.
// Errors: *Error, *meta.FileError, *meta.ExpiredError.
func Parse(name string, data []byte, now time.Time) (*Request, error) {
	f, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	q := &Request{Hints: f.Keys, parts: bundle.Bundle{
		Roots: f.Roots, Published: f.Published, Root: f.Root, Targets: f.Targets, Intents: f.Intents, Created: f.Created,
		Cold: f.Cold, PublishedCold: f.PublishedCold,
	}}
	if q.Verified, err = bundle.Import(name, q.parts, now); err != nil {
		return nil, err
	}
	return q, q.checkDescription(name, f.Description)
}

func decode(name string, data []byte) (*file, error) {
	bad := func(reason string, err error) (*file, error) {
		return nil, &Error{File: name, Reason: reason, Err: err}
	}
	if len(data) > MaxRequest {
		return bad(fmt.Sprintf("larger than %d bytes", MaxRequest), nil)
	}
	if err := strict(data); err != nil {
		return bad("not strict JSON", err)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return bad("not a JSON object", nil)
	}
	if _, ok := top["fleet_hsm_request"]; !ok {
		return bad(`not written by "fleet-hsm request": it has no "fleet_hsm_request"`, nil)
	}
	if err := schema.Check(name, "fleet_hsm_request", data, format); err != nil {
		return nil, err
	}
	for field := range top {
		if !slices.Contains(fields, field) {
			return bad(fmt.Sprintf("unknown field %+q", field), nil)
		}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var f file
	if err := dec.Decode(&f); err != nil {
		return bad("a field has a wrong form", err)
	}
	if f.Format != format {
		return bad(fmt.Sprintf("format %d; this version reads %d", f.Format, format), nil)
	}
	if err := f.checkWords(); err != nil {
		return bad("a hint cannot be shown", err)
	}
	return &f, nil
}

// checkWords bounds what is only talk, so that it can be shown on a terminal.
func (f *file) checkWords() error {
	if len(f.Intents) > maxIntents || len(f.Keys) > maxKeys {
		return fmt.Errorf("%d intents and %d keys are too many", len(f.Intents), len(f.Keys))
	}
	for _, s := range f.Intents {
		if err := words("intent", s, maxIntent); err != nil {
			return err
		}
	}
	for _, h := range f.Keys {
		if err := words("name", h.Name, maxIntent); err != nil {
			return err
		}
		if len(h.Attestation) > maxAttestation {
			return fmt.Errorf("attestation of more than %d bytes", maxAttestation)
		}
	}
	return nil
}

func words(what, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%s of more than %d bytes", what, most)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", what)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s holds the character %U", what, r)
		}
	}
	return nil
}

// described is the part of a review that depends on nothing but what would be signed:
// no clock, no signature, no configuration. What a version adds to a review stays out of
// it, or requests of other versions would count as altered.
type described struct {
	diff.RoleReview
	Signatures *struct{} `json:"signatures,omitempty"`
	Warnings   *struct{} `json:"warnings,omitempty"`
	Stays      *struct{} `json:"stays,omitempty"`
	Kept       *struct{} `json:"kept,omitempty"`
}

func (q *Request) describe() ([]byte, error) {
	review, err := diff.New(q.Published, q.Change, nil, time.Time{})
	if err != nil {
		return nil, err
	}
	roles := make([]described, 0, len(review.Roles))
	for _, rc := range review.Roles {
		roles = append(roles, described{RoleReview: rc})
	}
	return encode(roles)
}

// checkDescription compares what the request says of itself with what it holds.
func (q *Request) checkDescription(name string, given []byte) error {
	own, err := q.describe()
	if err != nil {
		return &Error{File: name, Reason: "what it asks for cannot be described", Err: err}
	}
	var a, b any
	if err := unmarshal(own, &a); err != nil {
		return err
	}
	if err := unmarshal(given, &b); err != nil {
		return &Error{File: name, Reason: "it has no description", Err: err}
	}
	if !reflect.DeepEqual(a, b) {
		return &Error{File: name, Reason: "what it says of itself is not what it asks to be signed: it was altered on the way"}
	}
	return nil
}

func unmarshal(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(into)
}

// Review describes the request for people; see [diff.New].
func (q *Request) Review(usual meta.Expiries, now time.Time) (diff.Review, error) {
	return diff.New(q.Published, q.Change, usual, now)
}

// Bytes gives the file, with the signatures that the change has now.
func (q *Request) Bytes() ([]byte, error) {
	signed, err := q.Change.Envelopes()
	if err != nil {
		return nil, err
	}
	f := file{
		Format: format, Created: q.parts.Created, Roots: q.parts.Roots, Published: q.parts.Published,
		Root: signed.Root, Targets: signed.Targets, Intents: q.parts.Intents, Keys: q.Hints,
		Cold: signed.Cold, PublishedCold: q.parts.PublishedCold,
	}
	if f.Roots == nil {
		f.Roots = []json.RawMessage{}
	}
	if f.Intents == nil {
		f.Intents = []string{}
	}
	if f.Keys == nil {
		f.Keys = map[tuf.KeyID]Hint{}
	}
	if f.Description, err = q.describe(); err != nil {
		return nil, err
	}
	data, err := encode(f)
	if err == nil && len(data) > MaxRequest {
		err = &Error{File: "the staged change", Reason: fmt.Sprintf("as a request it would be larger than %d bytes", MaxRequest)}
	}
	return data, err
}

// encode writes compact JSON and a newline, without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Same reports whether two requests ask for the same thing, whatever signatures they
// carry.
func (q *Request) Same(other *Request) bool {
	if len(q.Chain) != len(other.Chain) {
		return false
	}
	for i, l := range q.Chain {
		if l.Hash != other.Chain[i].Hash {
			return false
		}
	}
	a, b := q.Change.Docs(), other.Change.Docs()
	if len(a) != len(b) {
		return false
	}
	for i, d := range a {
		if d.Role() != b[i].Role() || d.Hash() != b[i].Hash() {
			return false
		}
	}
	return true
}
