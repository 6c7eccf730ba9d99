package card

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// useKey is GENERAL AUTHENTICATE (87) with a key slot: sign or decrypt
// (7C { 82, 81 input }) or agree on a key (7C { 82, 85 peer's point }); the answer is
// 7C { 82 output }. fresh: the command before was a good VERIFY.
func (c *Card) useKey(cmd command, fresh bool) ([]byte, uint16) {
	s := c.slotOf(cmd.p2)
	if c.has(PINBeforeKey) && cmd.p2 != slotCardAuthentication && !c.session.verified {
		return nil, swSecurity
	}
	if s == nil || cmd.p2 == slotAttestation || s.Algorithm != cmd.p1 {
		return nil, swData
	}
	items, ok := template(cmd.data, 0x7C)
	if !ok {
		return nil, swData
	}
	if s.PIN == pinAlways && !fresh || s.PIN == pinOnce && !c.session.verified {
		return nil, swSecurity
	}
	if !c.touched(cmd.p2, s.Touch) {
		return nil, swSecurity
	}
	output, ok := compute(s.key, items)
	if !ok {
		return nil, swData
	}
	if c.knobs.wrongSignatures > 0 {
		c.knobs.wrongSignatures--
		output[len(output)-1] ^= 0x01
	}
	return tlv(0x7C, tlv(0x82, output)), swOK
}

// compute does what the template asks for with the key.
func compute(key any, items []item) ([]byte, bool) {
	if peer, ok := find(items, 0x85); ok {
		return agree(key, peer)
	}
	input, ok := find(items, 0x81)
	if !ok {
		return nil, false
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return signECDSA(k, input)
	case *rsa.PrivateKey:
		return rawRSA(k, input)
	case ed25519.PrivateKey:
		sig, err := k.Sign(nil, input, crypto.Hash(0))
		return sig, err == nil
	}
	return nil, false
}

// signECDSA signs a digest of at most the length of the group's order; the
// signature is ASN.1 DER.
func signECDSA(key *ecdsa.PrivateKey, digest []byte) ([]byte, bool) {
	if len(digest) == 0 || len(digest) > (key.Params().N.BitLen()+7)/8 {
		return nil, false
	}
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest)
	return sig, err == nil
}

// rawRSA raises the input, as long as the modulus, to the private exponent; the
// padding is the client's business.
func rawRSA(key *rsa.PrivateKey, input []byte) ([]byte, bool) {
	m := new(big.Int).SetBytes(input)
	if len(input) != key.Size() || m.Cmp(key.N) >= 0 {
		return nil, false
	}
	p, q := key.Primes[0], key.Primes[1]
	m1 := new(big.Int).Exp(m, key.Precomputed.Dp, p)
	m2 := new(big.Int).Exp(m, key.Precomputed.Dq, q)
	h := m1.Sub(m1, m2)
	h.Mul(h, key.Precomputed.Qinv).Mod(h, p)
	out := h.Mul(h, q).Add(h, m2)
	return out.FillBytes(make([]byte, key.Size())), true
}

// agree gives the shared secret of ECDH with the peer's point.
func agree(key any, peer []byte) ([]byte, bool) {
	private, ok := key.(*ecdh.PrivateKey)
	if k, isECDSA := key.(*ecdsa.PrivateKey); isECDSA {
		var err error
		private, err = k.ECDH()
		ok = err == nil
	}
	if !ok {
		return nil, false
	}
	point, err := private.Curve().NewPublicKey(peer)
	if err != nil {
		return nil, false
	}
	shared, err := private.ECDH(point)
	return shared, err == nil
}
