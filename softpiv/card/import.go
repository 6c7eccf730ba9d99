package card

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"math/big"
)

var errKeyData = errors.New("key data")

// importKey is Yubico's IMPORT ASYMMETRIC KEY (FE): p1 algorithm, p2 slot; RSA as
// 01 p, 02 q, 03 dp, 04 dq, 05 qinv, EC as 06, Ed25519 as 07, X25519 as 08, then the
// policies.
func (c *Card) importKey(cmd command) uint16 {
	if !c.session.authed {
		return swSecurity
	}
	if !isSlot(cmd.p2) {
		return swParameters
	}
	items, ok := parseTLV(cmd.data)
	if !ok || !c.knows(cmd.p1) {
		return swData
	}
	pin, touch, ok := c.policies(cmd.p2, items)
	if !ok {
		return swData
	}
	key, err := readKey(cmd.p1, items)
	if err != nil {
		return swData
	}
	s, err := newSlot(cmd.p1, key, pin, touch, fromOutside)
	if err != nil {
		return swData
	}
	c.state.Slots[slotName(cmd.p2)] = s
	return c.saved(swOK)
}

func readKey(alg byte, items []item) (any, error) {
	switch alg {
	case algP256, algP384:
		scalar, _ := find(items, 0x06)
		return ecdsa.ParseRawPrivateKey(curveOf(alg), scalar)
	case algEd25519:
		seed, _ := find(items, 0x07)
		if len(seed) != ed25519.SeedSize {
			return nil, errKeyData
		}
		return ed25519.NewKeyFromSeed(seed), nil
	case algX25519:
		scalar, _ := find(items, 0x08)
		return ecdh.X25519().NewPrivateKey(scalar)
	}
	return readRSA(rsaBits(alg), items)
}

// readRSA builds the key from its primes; the exponent is 65537, the only one a
// YubiKey takes.
func readRSA(bits int, items []item) (*rsa.PrivateKey, error) {
	pb, okP := find(items, 0x01)
	qb, okQ := find(items, 0x02)
	if !okP || !okQ {
		return nil, errKeyData
	}
	const exponent = 65537
	p, q, one := new(big.Int).SetBytes(pb), new(big.Int).SetBytes(qb), big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	d := new(big.Int).ModInverse(big.NewInt(exponent), phi)
	n := new(big.Int).Mul(p, q)
	if d == nil || n.BitLen() != bits {
		return nil, errKeyData
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: exponent}, D: d, Primes: []*big.Int{p, q}}
	key.Precompute()
	return key, key.Validate()
}
