package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// shortError: every key within reach has signed, and it is not enough. Exit 3.
type shortError struct {
	role       string
	version    int64
	have, need int
	names      []string // who could still sign
}

func (e *shortError) Error() string {
	return fmt.Sprintf("%s v%d has %d of %d signatures: needs %s", e.role, e.version, e.have, e.need, strings.Join(e.names, ", or "))
}

func hintShort(err error) string {
	var s *shortError
	if !errors.As(err, &s) {
		return ""
	}
	if s.role == repo.RoleSnapshot || s.role == repo.RoleTimestamp {
		return fmt.Sprintf(`run "fleet-hsm commit" where the %s key is; with consistent snapshots "fleet-hsm commit --without-timestamp" leaves the timestamp to another machine`, s.role)
	}
	return `run "fleet-hsm sign" where that key is plugged in, then "fleet-hsm commit"; "fleet-hsm discard" drops the change`
}

// sign has one document signed by keys within reach until its thresholds are met.
// keep is called after each signature that cost a person something. A key that is
// not here is passed over; any other trouble ends it.
func (k *keychain) sign(ctx context.Context, d *repo.Doc, keep func() error) error {
	var absent error
	for _, key := range k.cheapFirst(d.Role(), d.Missing()) {
		if d.Met() {
			return nil
		}
		if !slices.ContainsFunc(d.Missing(), func(m repo.Key) bool { return m.ID == key.ID }) {
			continue
		}
		err := k.signWith(ctx, d, key, keep)
		if err != nil && !notHere(err) {
			return fmt.Errorf("signing %s v%d: %w", d.Role(), d.Version(), err)
		}
		if err != nil && absentDevice(err) {
			absent = err
		}
	}
	if err := k.short(d); err != nil && absent != nil {
		return &absentError{short: err, device: absent}
	} else if err != nil {
		return err
	}
	return nil
}

// short says who must still sign, or nil.
func (k *keychain) short(d *repo.Doc) error {
	short := d.Short()
	if short == nil {
		return nil
	}
	e := &shortError{role: d.Role(), version: d.Version(), have: short.Have, need: short.Need}
	for _, key := range short.Missing {
		e.names = append(e.names, k.name(d.Role(), key))
	}
	return e
}

// absentError is a shortError whose cause is a device that is not plugged in.
type absentError struct {
	short  error
	device error
}

func (e *absentError) Error() string   { return fmt.Sprintf("%v (%v)", e.short, e.device) }
func (e *absentError) Unwrap() []error { return []error{e.short, e.device} }

// cheapFirst puts keys that need no person before the others.
func (k *keychain) cheapFirst(role string, keys []repo.Key) []repo.Key {
	cost := func(key repo.Key) int {
		list, err := k.candidates(role, key)
		if err != nil || len(list) == 0 {
			return 3
		}
		switch list[0].uri.Scheme {
		case "file":
			return 0
		case "pkcs11":
			return 1
		}
		return 2
	}
	out := slices.Clone(keys)
	slices.SortStableFunc(out, func(a, b repo.Key) int { return cost(a) - cost(b) })
	return out
}

func (k *keychain) signWith(ctx context.Context, d *repo.Doc, key repo.Key, keep func() error) error {
	s, err := k.signer(ctx, d.Role(), key)
	if err != nil {
		return err
	}
	sig, err := s.Sign(ctx, d.Payload())
	if err != nil {
		return err
	}
	if err := d.AddSignature(key.ID, sig); err != nil {
		return &signer.KeyError{Op: "signing with key", URI: s.URI(), Err: err}
	}
	if keep != nil && s.URI().Scheme != "file" {
		return keep()
	}
	return nil
}
