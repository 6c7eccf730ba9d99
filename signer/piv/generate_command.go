//go:build cgo || windows

package piv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// algorithmID is how commands number a kind of key (SP 800-78-4, table 6-2, and Yubico's
// extension for the longer RSA keys).
func algorithmID(a signer.Algorithm) byte {
	switch a {
	case signer.P256:
		return 0x11
	case signer.RSA2048:
		return 0x07
	case signer.RSA3072:
		return 0x05
	case signer.RSA4096:
		return 0x16
	}
	return 0
}

// algorithmOf reads that number; "" is a kind that is not used here.
func algorithmOf(id []byte) signer.Algorithm {
	for _, a := range []signer.Algorithm{signer.P256, signer.RSA2048, signer.RSA3072, signer.RSA4096} {
		if len(id) == 1 && id[0] == algorithmID(a) {
			return a
		}
	}
	return ""
}

// usualPIN is the PIN policy that a key gets if none is asked for (SP 800-73-4, part 1,
// table 4b).
func usualPIN(slot piv.Slot) piv.PINPolicy {
	switch slot {
	case piv.SlotSignature:
		return piv.PINPolicyAlways
	case piv.SlotCardAuthentication:
		return piv.PINPolicyNever
	}
	return piv.PINPolicyOnce
}

// generate is GENERATE ASYMMETRIC KEY PAIR, after the management key was proven. Policies
// are Yubico's extension: to other cards they are sent only where they say something.
func (d *direct) generate(c card, slot piv.Slot, r recipe) (crypto.PublicKey, error) {
	inner := tlv(0x80, algorithmID(r.algorithm))
	if c.yubikey || r.PINPolicy != usualPIN(slot) {
		inner = append(inner, tlv(0xAA, byte(r.PINPolicy))...)
	}
	if c.yubikey || r.TouchPolicy != piv.TouchPolicyNever {
		inner = append(inner, tlv(0xAB, byte(r.TouchPolicy))...)
	}
	answer, err := d.transmit(insGenerate, 0, byte(slot.Key), tlv(0xAC, inner...))
	if err != nil {
		return nil, err
	}
	outer, err := inside(0x7F49, answer)
	if err != nil {
		return nil, &causeError{cause: signer.ErrDevice, err: fmt.Errorf("the public key of the new key: %w", err)}
	}
	pub, err := decodePublic(r.algorithm, outer)
	if err != nil {
		return nil, &causeError{cause: signer.ErrDevice, err: fmt.Errorf("the public key of the new key: %w", err)}
	}
	return pub, nil
}

// decodePublic reads 86 { point } or 81 { modulus } 82 { exponent }.
func decodePublic(a signer.Algorithm, b []byte) (crypto.PublicKey, error) {
	list, err := elements(b)
	if err != nil {
		return nil, err
	}
	if a == signer.P256 {
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), list[0x86])
	}
	n, e := new(big.Int).SetBytes(list[0x81]), new(big.Int).SetBytes(list[0x82])
	if n.BitLen() != a.RSABits() || e.BitLen() > 31 || e.Cmp(big.NewInt(2)) <= 0 {
		return nil, errors.New("not an RSA key of the kind that was asked for")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// putCertificate stores a certificate in a slot, after the management key was proven.
func (d *direct) putCertificate(slot piv.Slot, cert *x509.Certificate) error {
	value := append(tlv(0x70, cert.Raw...), tlv(0x71, 0)...)
	return d.putData(uint16(slot.Object), append(value, tlv(0xFE)...))
}
