//go:build cgo || windows

package piv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// certify signs a certificate for the new key with that key and stores it in the
// slot, on cards that do not attest: most of those tell the public key nowhere else.
// What it cannot do is a warning; the key is good without. The signature is over a
// DER certificate, which can never be TUF metadata.
func (j *generateJob) certify(s *session, c card, pin string) {
	if err := j.selfSign(s, c, pin); err != nil {
		j.warnings = append(j.warnings, "no certificate was stored in the slot, so the key is found only by those who know it: "+err.Error())
	}
}

func (j *generateJob) selfSign(s *session, c card, pin string) error {
	cert, err := j.selfSigned(s, c, pin)
	if err != nil {
		return err
	}
	return s.direct(c, func(d *direct) error {
		if ok, err := d.authenticate(j.proven); err != nil || !ok {
			return errors.Join(errors.New("the card does not take its management key any more"), err)
		}
		return d.putCertificate(j.work.want.slot, cert)
	})
}

// selfSigned has piv-go sign, which wants the PIN in its own connection.
func (j *generateJob) selfSigned(s *session, c card, pin string) (*x509.Certificate, error) {
	if err := s.reopen(c); err != nil {
		return nil, err
	}
	slot := j.work.want.slot
	private, err := s.yk.PrivateKey(slot, j.public, piv.KeyAuth{PINPolicy: piv.PINPolicyNever})
	if err != nil {
		return nil, err
	}
	key, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T does not sign", private)
	}
	if err := s.ctxErr(); err != nil {
		return nil, err
	}
	if j.recipe.PINPolicy != piv.PINPolicyNever {
		if err := s.yk.VerifyPIN(pin); err != nil { // proven right a moment ago
			return nil, err
		}
		defer s.dropPIN(c)
	}
	if j.recipe.TouchPolicy != piv.TouchPolicyNever {
		s.touch()
	}
	der, err := x509.CreateCertificate(rand.Reader, template(slot, j.public), template(slot, j.public), j.public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// template is valid for ever (RFC 5280, section 4.1.2.5): nothing depends on it.
func template(slot piv.Slot, pub crypto.PublicKey) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet-hsm PIV key " + slot.String()},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if _, ok := pub.(*rsa.PublicKey); ok {
		t.SignatureAlgorithm = x509.SHA256WithRSA
	}
	return t
}

// probeSlot refuses a slot that reacts like one with a key in it. pin is "" as long as
// nobody was asked: then a card of another vendor that wants a PIN is asked again with it,
// because some want one whether there is a key or not.
func (j *generateJob) probeSlot(s *session, c card, pin string) error {
	there, err := s.reacts(j.work.want.slot, pin)
	if err != nil || !there {
		return err
	}
	if pin == "" && !c.yubikey {
		j.unsure = true
		return nil
	}
	return errUnknownIf(there)
}

// reacts reports whether a slot holds a key on a card that does not tell: one that
// was imported into a YubiKey before firmware 5.3, or any on a card without metadata.
// Such a card refuses to sign without a PIN where there is a key of the kind asked
// for, and says that the data is wrong where there is none. With a PIN, which was proven
// right, it signs. The digest is random.
func (s *session) reacts(slot piv.Slot, pin string) (bool, error) {
	for _, pub := range kinds() {
		private, err := s.yk.PrivateKey(slot, pub, piv.KeyAuth{PINPolicy: piv.PINPolicyNever})
		if err != nil {
			return false, err
		}
		var digest [sha256.Size]byte
		if _, err := rand.Read(digest[:]); err != nil {
			return false, err
		}
		if pin != "" {
			if err := pinError(s.yk.VerifyPIN(pin)); err != nil {
				return false, err
			}
			s.touch() // a key may want one
		}
		_, err = private.(crypto.Signer).Sign(rand.Reader, digest[:], options(pub))
		if dead := s.fatal(err); dead != nil {
			return false, dead
		}
		if st := status(err); err == nil || st == statusNotSatisfied {
			return true, nil
		}
	}
	return false, nil
}

// kinds has a public key of every kind that such cards hold; only its size counts.
func kinds() []crypto.PublicKey {
	kinds := []crypto.PublicKey{}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		kinds = append(kinds, generatorOf(curve))
	}
	for _, bits := range []uint{2048, 1024} {
		kinds = append(kinds, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537})
	}
	return kinds
}

// generatorOf gives a curve's base point as a public key: one that is valid and that
// nobody uses.
func generatorOf(curve elliptic.Curve) *ecdsa.PublicKey {
	g := curve.Params()
	size := (g.BitSize + 7) / 8
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed (SEC 1, section 2.3.3)
	g.Gx.FillBytes(point[1 : 1+size])
	g.Gy.FillBytes(point[1+size:])
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		panic(err) // a constant of the standard library
	}
	return pub
}

// errUnknownIf: there is a key, and nobody can say which.
func errUnknownIf(there bool) error {
	if !there {
		return nil
	}
	return &causeError{cause: signer.ErrKeyExists, err: errors.New("slot holds a key that the card does not show")}
}
