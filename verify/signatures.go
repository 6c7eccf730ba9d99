package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
)

// verdict on one signature; the empty Code is a good one.
type verdict struct {
	code Code
	text string
}

// verifySignature judges a signature as go-tuf v0.5.2 does and, if it is bad, looks
// whether it is a good one in a form that agents do not take.
func verifySignature(pub crypto.PublicKey, message, sig []byte) verdict {
	digest := sha256.Sum256(message)
	switch k := pub.(type) {
	case ed25519.PublicKey:
		if ed25519.Verify(k, message, sig) {
			return verdict{}
		}
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(k, digest[:], sig) {
			return verdict{}
		}
		if rawECDSA(k, digest[:], sig) {
			return verdict{CodeSignatureRaw, "it is raw r||s, as PKCS#11 returns it; agents take ASN.1 DER only"}
		}
	case *rsa.PublicKey:
		if rsa.VerifyPSS(k, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil {
			return verdict{}
		}
		if rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig) == nil {
			return verdict{CodeSignaturePKCS1, "it is PKCS#1 v1.5; agents take PSS only"}
		}
	}
	return verdict{CodeSignature, "it is not a signature of this key over this file"}
}

func rawECDSA(k *ecdsa.PublicKey, digest, sig []byte) bool {
	if len(sig) == 0 || len(sig)%2 != 0 || len(sig) > 132 {
		return false
	}
	half := len(sig) / 2
	r, s := new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])
	return ecdsa.Verify(k, digest, r, s)
}

// countSignatures gives how many distinct keys of a role signed a document, and
// what is wrong with signatures that a key of the role should have made.
func countSignatures(d *document, ring keyring, r *roleKeys) (signed int, bad map[string]verdict) {
	member := map[string]bool{}
	for _, id := range r.KeyIDs {
		member[id] = true
	}
	good := map[string]bool{}
	bad = map[string]verdict{}
	for _, s := range d.signatures {
		pub := ring.keys[s.KeyID]
		if pub == nil || !member[s.KeyID] {
			continue
		}
		sig, err := hex.DecodeString(s.Sig)
		if err != nil {
			continue // reported as signature-hex
		}
		if v := verifySignature(pub.PublicKey, d.canonical, sig); v.code != "" {
			bad[s.KeyID] = v
			continue
		}
		good[pub.identity] = true
	}
	return len(good), bad
}

// checkSignatures verifies d under the role of a delegator. code is what a
// threshold that is not met is reported as. It gives the number of good signatures
// of distinct keys, and whether they suffice.
func (w *walk) checkSignatures(d *document, ring keyring, name string, r *roleKeys, code Code) (int, bool) {
	if r == nil {
		return 0, false // reported as role-missing
	}
	signed, bad := countSignatures(d, ring, r)
	met := r.Threshold >= 1 && signed >= r.Threshold
	for _, s := range d.signatures {
		v, ok := bad[s.KeyID]
		if !ok {
			continue
		}
		if met {
			w.warnf(v.code, d.role, d.file, "signature of key %s: %s (there are enough others)", short(s.KeyID), v.text)
			continue
		}
		w.errorf(v.code, d.role, d.file, "signature of key %s: %s", short(s.KeyID), v.text)
	}
	if !met {
		w.errorf(code, d.role, d.file, "%d of the %d signatures that role %s of %q asks for", signed, r.Threshold, name, ring.from)
	}
	return signed, met
}
