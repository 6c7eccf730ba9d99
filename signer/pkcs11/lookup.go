//go:build cgo

package pkcs11

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// object is a key or certificate on a token, without its value.
type object struct {
	h     p11.ObjectHandle
	class uint
	id    []byte
	label string
	kind  uint64 // CKA_KEY_TYPE; 0 (RSA) for a certificate
}

func (o object) String() string {
	return fmt.Sprintf("object %q, id %s", o.label, idText(o.id))
}

func idText(id []byte) string {
	if len(id) == 0 {
		return "none"
	}
	return hex.EncodeToString(id)
}

// keyHandle is where a private key was found on one connection.
type keyHandle struct {
	h          p11.ObjectHandle
	alwaysAuth bool // every signature wants the PIN again
}

// found is what a URI leads to, as far as the login lets it be seen.
type found struct {
	private *object // nil where it is not visible
	public  crypto.PublicKey
	id      []byte
	label   string
	// problem says why a public key that is there cannot be used.
	problem error
}

// objects lists the objects of a class; id and label narrow it where they are not
// nil. Keys of kinds that cannot sign are left out.
func (l lib) objects(s p11.SessionHandle, class uint, id []byte, label *string) ([]object, error) {
	template := []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class)}
	if id != nil {
		template = append(template, p11.NewAttribute(p11.CKA_ID, id))
	}
	if label != nil && *label != "" { // some modules refuse to search for ""
		template = append(template, p11.NewAttribute(p11.CKA_LABEL, *label))
	}
	handles, err := l.find(s, template)
	if err != nil {
		return nil, err
	}
	var out []object
	for _, h := range handles {
		o, err := l.describe(s, h, class)
		if err != nil {
			return nil, err
		}
		if label != nil && o.label != *label || class != p11.CKO_CERTIFICATE && !signs(o.kind) {
			continue
		}
		out = append(out, o)
	}
	return out, nil
}

// describe reads what tells objects apart.
func (l lib) describe(s p11.SessionHandle, h p11.ObjectHandle, class uint) (object, error) {
	types := []uint{p11.CKA_ID, p11.CKA_LABEL, p11.CKA_KEY_TYPE}
	if class == p11.CKO_CERTIFICATE {
		types = types[:2]
	}
	values, err := l.attributes(s, h, types...)
	if err != nil {
		return object{}, err
	}
	o := object{h: h, class: class, id: values[0], label: clean(string(values[1]))}
	if class != p11.CKO_CERTIFICATE {
		var ok bool
		if o.kind, ok = decodeULong(values[2]); !ok {
			o.kind = kindUnsaid
		}
	}
	return o, nil
}

// kindUnsaid: the token does not say what kind of key it is.
const kindUnsaid = ^uint64(0)

// signs reports whether a CKA_KEY_TYPE is one that may sign for us; others on the
// token are none of our business.
func signs(kind uint64) bool {
	return kind == kindUnsaid || kind == p11.CKK_RSA || kind == p11.CKK_EC || kind == ckkECEdwards
}

// keyAttrs gives what a URI says of the key.
func keyAttrs(u signer.URI) (id []byte, label *string) {
	if v, ok := u.Attr("id"); ok {
		id = []byte(v)
	}
	if v, ok := u.Attr("object"); ok {
		label = &v
	}
	return id, label
}

// lookup finds the key that a URI names: the private key, where it can be seen, and
// its public part from the first source that has it. want, if not nil, is preferred
// among several sources. Errors: *signer.AmbiguousError, *signer.NotFoundError.
func (l lib) lookup(s p11.SessionHandle, u signer.URI, want crypto.PublicKey) (found, error) {
	private, err := l.lookupPrivate(s, u)
	if err != nil {
		return found{}, err
	}
	if private != nil {
		return l.withPublic(s, found{private: private, id: private.id, label: private.label}, want)
	}
	// The halves have different labels, or there was no login: the public half or a
	// certificate leads to the ID.
	f, err := l.lookupPublic(s, u, want)
	if err != nil || len(f.id) == 0 {
		return f, err
	}
	if f.private, err = l.lookupPrivate(s, kind.URI().With("id", string(f.id))); err != nil {
		return found{}, err
	}
	return f, nil
}

// lookupPrivate finds the private key that a URI names; nil where none is visible.
func (l lib) lookupPrivate(s p11.SessionHandle, u signer.URI) (*object, error) {
	id, label := keyAttrs(u)
	privates, err := l.objects(s, p11.CKO_PRIVATE_KEY, id, label)
	switch {
	case err != nil:
		return nil, err
	case len(privates) > 1:
		return nil, ambiguous("private key", u, privates)
	case len(privates) == 1:
		return &privates[0], nil
	}
	return nil, nil
}

// glance is lookup before a login: the public object comes first, because private ones
// are hardly ever visible then.
func (l lib) glance(s p11.SessionHandle, u signer.URI, want crypto.PublicKey) (found, error) {
	f, err := l.lookupPublic(s, u, want)
	var absent *signer.NotFoundError
	if !errors.As(err, &absent) {
		return f, err
	}
	return l.lookup(s, u, want)
}

// lookupPublic finds the public part under the name that a URI gives.
func (l lib) lookupPublic(s p11.SessionHandle, u signer.URI, want crypto.PublicKey) (found, error) {
	id, label := keyAttrs(u)
	for _, class := range []uint{p11.CKO_PUBLIC_KEY, p11.CKO_CERTIFICATE} {
		objects, err := l.objects(s, class, id, label)
		if err != nil {
			return found{}, err
		}
		if distinctIDs(objects) > 1 || class == p11.CKO_PUBLIC_KEY && len(objects) > 1 && len(objects[0].id) == 0 {
			return found{}, ambiguous("key", u, objects)
		}
		if len(objects) == 0 {
			continue
		}
		f := found{id: objects[0].id, label: objects[0].label}
		f.public, f.problem, err = l.publicOf(s, objects[0])
		asWanted := f.public != nil && (want == nil || signer.SamePublic(want, f.public))
		if err != nil || asWanted || len(f.id) == 0 {
			return f, err
		}
		return l.withPublic(s, f, want) // another object of that ID may know better
	}
	return found{}, l.noKey(s, u)
}

func distinctIDs(objects []object) int {
	n := 0
	for i, o := range objects {
		first := true
		for _, earlier := range objects[:i] {
			first = first && !bytes.Equal(o.id, earlier.id)
		}
		if first {
			n++
		}
	}
	return n
}

func ambiguous(what string, u signer.URI, objects []object) error {
	e := &signer.AmbiguousError{What: what, URI: u}
	for _, o := range objects {
		e.Candidates = append(e.Candidates, o.String())
	}
	return e
}

// noKey says which keys are there instead.
func (l lib) noKey(s p11.SessionHandle, u signer.URI) error {
	e := &signer.NotFoundError{What: "key", URI: u, Cause: signer.ErrKeyNotFound}
	var seen []object
	for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY} {
		objects, err := l.objects(s, class, nil, nil)
		if err != nil {
			return err
		}
		seen = append(seen, objects...)
	}
	const enough = 20
	for i, o := range seen {
		if len(e.Present) == enough {
			e.Present = append(e.Present, "and more")
			break
		}
		if distinctIDs(seen[:i]) < distinctIDs(seen[:i+1]) || len(o.id) == 0 {
			e.Present = append(e.Present, o.String())
		}
	}
	return e
}

// withPublic adds the public key from the public object with the same CKA_ID, a
// certificate with the same CKA_ID, or the private object itself, which on some tokens
// shows the public part. A certificate may be older than the key; every signature is
// verified anyway.
func (l lib) withPublic(s p11.SessionHandle, f found, want crypto.PublicKey) (found, error) {
	for _, class := range []uint{p11.CKO_PUBLIC_KEY, p11.CKO_CERTIFICATE, p11.CKO_PRIVATE_KEY} {
		sources, err := l.publicSources(s, f, class)
		if err != nil {
			return f, err
		}
		for _, o := range sources {
			pub, problem, err := l.publicOf(s, o)
			if err != nil {
				return f, err
			}
			if problem != nil && f.problem == nil {
				f.problem = problem
			}
			if pub == nil {
				continue
			}
			if f.public == nil {
				f.public = pub
			}
			if want == nil || signer.SamePublic(want, pub) {
				f.public, f.problem = pub, nil
				return f, nil
			}
		}
	}
	return f, nil
}

// publicSources lists the objects of a class that may show the public part of f.
func (l lib) publicSources(s p11.SessionHandle, f found, class uint) ([]object, error) {
	var some []object
	var err error
	switch {
	case class == p11.CKO_PRIVATE_KEY && f.private != nil:
		return []object{*f.private}, nil
	case class == p11.CKO_PRIVATE_KEY:
		return nil, nil
	case len(f.id) > 0:
		some, err = l.objects(s, class, f.id, nil)
	case class == p11.CKO_PUBLIC_KEY && f.label != "":
		some, err = l.objects(s, class, nil, &f.label)
	}
	var sources []object
	for _, o := range some {
		if class == p11.CKO_CERTIFICATE || f.private == nil || o.kind == f.private.kind || o.kind == kindUnsaid || f.private.kind == kindUnsaid {
			sources = append(sources, o)
		}
	}
	// Two pairs may share an ID, but hardly the label too.
	slices.SortStableFunc(sources, func(a, b object) int {
		return cmp.Compare(btoi(a.label != f.label), btoi(b.label != f.label))
	})
	return sources, err
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// publicOf reads the public key out of an object. problem is why one that is there
// is of no use; both are nil where the object does not show it.
func (l lib) publicOf(s p11.SessionHandle, o object) (pub crypto.PublicKey, problem, err error) {
	switch {
	case o.class == p11.CKO_CERTIFICATE:
		return l.certificateKey(s, o)
	case o.kind == p11.CKK_RSA:
		pub, problem, err = l.rsaKey(s, o)
	case o.kind == kindUnsaid:
		if pub, problem, err = l.rsaKey(s, o); pub == nil && err == nil {
			pub, problem, err = l.ecKey(s, o)
		}
	default:
		pub, problem, err = l.ecKey(s, o)
	}
	if pub != nil || err != nil || errors.Is(problem, signer.ErrUnsupported) {
		return pub, problem, err
	}
	if info, err := l.attribute(s, o.h, ckaPublicKeyInfo); err == nil && fromSPKI(info) != nil {
		return usable(fromSPKI(info))
	}
	return nil, problem, nil
}

func (l lib) certificateKey(s p11.SessionHandle, o object) (crypto.PublicKey, error, error) {
	der, err := l.attribute(s, o.h, p11.CKA_VALUE)
	if err != nil || len(der) == 0 {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", o, err), nil
	}
	return usable(cert.PublicKey)
}

func (l lib) rsaKey(s p11.SessionHandle, o object) (crypto.PublicKey, error, error) {
	v, err := l.attributes(s, o.h, p11.CKA_MODULUS, p11.CKA_PUBLIC_EXPONENT)
	if err != nil || len(v[0]) == 0 || len(v[1]) == 0 {
		return nil, nil, err
	}
	pub, err := decodeRSA(v[0], v[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err), nil
	}
	return usable(pub)
}

func (l lib) ecKey(s p11.SessionHandle, o object) (crypto.PublicKey, error, error) {
	v, err := l.attributes(s, o.h, p11.CKA_EC_POINT, p11.CKA_EC_PARAMS)
	if err != nil || len(v[0]) == 0 {
		return nil, nil, err
	}
	pub, err := decodeEC(o.kind == ckkECEdwards, v[1], v[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err), nil
	}
	return usable(pub)
}

// usable refuses keys that deployed agents refuse.
func usable(pub crypto.PublicKey) (crypto.PublicKey, error, error) {
	if _, err := signer.AlgorithmOf(pub); err != nil {
		return nil, err, nil
	}
	return pub, nil, nil
}
