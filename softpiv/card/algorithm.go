package card

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// Algorithm identifiers (SP 800-78-4 table 6-2, and Yubico's own).
const (
	algRSA3072 = 0x05
	algRSA1024 = 0x06
	algRSA2048 = 0x07
	algP256    = 0x11
	algP384    = 0x14
	algRSA4096 = 0x16
	algEd25519 = 0xE0
	algX25519  = 0xE1
)

// knows reports whether the firmware has the algorithm.
func (c *Card) knows(alg byte) bool {
	switch alg {
	case algRSA1024, algRSA2048, algP256, algP384:
		return true
	case algRSA3072, algRSA4096, algEd25519, algX25519:
		return c.atLeast(5, 7) && !c.cfg.OtherVendor
	}
	return false
}

// rsaBits gives the modulus length, or 0 for an algorithm that is not RSA.
func rsaBits(alg byte) int {
	switch alg {
	case algRSA1024:
		return 1024
	case algRSA2048:
		return 2048
	case algRSA3072:
		return 3072
	case algRSA4096:
		return 4096
	}
	return 0
}

func curveOf(alg byte) elliptic.Curve {
	switch alg {
	case algP256:
		return elliptic.P256()
	case algP384:
		return elliptic.P384()
	}
	return nil
}

// newKey makes a private key: *ecdsa.PrivateKey, *rsa.PrivateKey,
// ed25519.PrivateKey or *ecdh.PrivateKey (X25519).
func newKey(alg byte) (any, error) {
	if bits := rsaBits(alg); bits > 0 {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	switch alg {
	case algP256, algP384:
		return ecdsa.GenerateKey(curveOf(alg), rand.Reader)
	case algEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case algX25519:
		return ecdh.X25519().GenerateKey(rand.Reader)
	}
	return nil, fmt.Errorf("algorithm %02x", alg)
}

// public gives the public half of a private key.
func public(key any) any {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return &k.PublicKey
	case *rsa.PrivateKey:
		return &k.PublicKey
	case ed25519.PrivateKey:
		return k.Public()
	case *ecdh.PrivateKey:
		return k.PublicKey()
	}
	return nil
}

// encodePublic writes a public key as GENERATE does: 86 point, or 81 modulus and
// 82 exponent (without the 7F49 around them).
func encodePublic(key any) []byte {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes()
		if err != nil {
			return nil
		}
		return tlv(0x86, point)
	case *rsa.PrivateKey:
		exponent := []byte{byte(k.E >> 16), byte(k.E >> 8), byte(k.E)}
		return append(tlv(0x81, k.N.FillBytes(make([]byte, k.Size()))), tlv(0x82, exponent)...)
	case ed25519.PrivateKey:
		return tlv(0x86, k.Public().(ed25519.PublicKey))
	case *ecdh.PrivateKey:
		return tlv(0x86, k.PublicKey().Bytes())
	}
	return nil
}
