package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
)

// Modules give one thing in many forms: with or without a DER header, with more length
// bytes than DER allows, padded or cut. What follows lists what an answer may mean;
// the point on the curve, or the verification of the signature, decides.

const (
	tagInteger   = 0x02
	tagBitString = 0x03
	tagOctets    = 0x04
	tagSequence  = 0x30
)

// element takes the first BER element off b: its tag, what is in it, and what comes
// after it. Lengths may be longer than DER has them; indefinite ones are refused.
func element(b []byte) (tag byte, content, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag, n, b := b[0], int(b[1]), b[2:]
	if n >= 0x80 {
		size := n & 0x7f
		if size == 0 || size > 4 || len(b) < size {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[:size] {
			n = n<<8 | int(c)
		}
		b = b[size:]
	}
	if n > len(b) {
		return 0, nil, nil, false
	}
	return tag, b[:n], b[n:], true
}

// maxWrapping bounds how many strings stand around a value.
const maxWrapping = 3

// unwrapped lists a value, and what is in the strings around it.
func unwrapped(b []byte) [][]byte {
	all := [][]byte{b}
	for range maxWrapping {
		tag, content, rest, ok := element(b)
		if !ok || len(rest) > 0 {
			break
		}
		if tag == tagBitString && len(content) > 0 && content[0] == 0 {
			content = content[1:]
		} else if tag != tagOctets {
			break
		}
		all, b = append(all, content), content
	}
	return all
}

// minimal rewrites BER with the lengths that DER wants; nil if it is no BER.
func minimal(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		tag, content, rest, ok := element(b)
		if !ok {
			return nil
		}
		if tag&0x20 != 0 {
			if content = minimal(content); content == nil {
				return nil
			}
		}
		out, b = appendElement(out, tag, content), rest
	}
	return out
}

func appendElement(out []byte, tag byte, content []byte) []byte {
	switch n := len(content); {
	case n < 0x80:
		out = append(out, tag, byte(n))
	case n <= 0xff:
		out = append(out, tag, 0x81, byte(n))
	default:
		out = append(out, tag, 0x82, byte(n>>8), byte(n))
	}
	return append(out, content...)
}

// wireForms lists what a module's signature may mean, in the form that stands in TUF
// metadata, the usual one first.
func wireForms(pub crypto.PublicKey, raw []byte) [][]byte {
	var forms [][]byte
	for _, b := range unwrapped(raw) {
		switch pub := pub.(type) {
		case *ecdsa.PublicKey:
			forms = append(forms, ecdsaForms(b)...)
		case ed25519.PublicKey:
			if len(b) == ed25519.SignatureSize {
				forms = append(forms, b)
			}
		case *rsa.PublicKey:
			if n := pub.Size() - len(b); n >= 0 && n <= 8 { // zeros in front may be left out
				forms = append(forms, append(make([]byte, n), b...))
			}
		}
	}
	return forms
}

// p256Order is the length of P-256's order, and of r and s, in bytes.
const p256Order = 32

// ecdsaForms reads r and s: side by side with 32 bytes each, as DER, or side by side
// with zeros in front left out or one put in.
func ecdsaForms(b []byte) [][]byte {
	var forms [][]byte
	add := func(r, s []byte) {
		r, s = bytes.TrimLeft(r, "\x00"), bytes.TrimLeft(s, "\x00")
		if len(r) > 0 && len(s) > 0 && len(r) <= p256Order && len(s) <= p256Order {
			forms = append(forms, encodeECDSA(r, s))
		}
	}
	if len(b) == 2*p256Order {
		add(b[:p256Order], b[p256Order:])
	}
	if r, s, ok := ecdsaDER(b); ok {
		add(r, s)
	}
	if len(b) > 2*(p256Order+1) {
		return forms
	}
	for i := max(1, len(b)-p256Order-1); i <= min(p256Order+1, len(b)-1); i++ {
		if len(b) != 2*p256Order || i != p256Order {
			add(b[:i], b[i:])
		}
	}
	return forms
}

// ecdsaDER reads a sequence of two integers; both count as positive. What follows may be
// zeros: some modules fill their buffer up.
func ecdsaDER(b []byte) (r, s []byte, ok bool) {
	tag, content, rest, ok := element(b)
	if !ok || tag != tagSequence || len(bytes.Trim(rest, "\x00")) > 0 {
		return nil, nil, false
	}
	tagR, r, content, okR := element(content)
	tagS, s, content, okS := element(content)
	return r, s, okR && okS && tagR == tagInteger && tagS == tagInteger && len(content) == 0
}
