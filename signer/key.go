package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"time"
)

// Algorithm names a kind of key that deployed agents accept.
type Algorithm string

// The algorithms; the names are what --algorithm takes.
const (
	Ed25519 Algorithm = "ed25519"
	P256    Algorithm = "p256"
	RSA2048 Algorithm = "rsa2048"
	RSA3072 Algorithm = "rsa3072"
	RSA4096 Algorithm = "rsa4096"
)

// Algorithms lists them all, in the order in which help shows them.
func Algorithms() []Algorithm { return []Algorithm{P256, Ed25519, RSA2048, RSA3072, RSA4096} }

// RSABits gives the modulus length in bits, or 0 for another kind of key.
func (a Algorithm) RSABits() int {
	switch a {
	case RSA2048:
		return 2048
	case RSA3072:
		return 3072
	case RSA4096:
		return 4096
	}
	return 0
}

// AlgorithmOf tells which algorithm a public key is of. A key that deployed agents
// refuse (another curve, another modulus length) is *UnsupportedError.
func AlgorithmOf(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return Ed25519, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return P256, nil
		}
		return "", &UnsupportedError{What: "a key on curve " + k.Curve.Params().Name, Why: "agents accept P-256 only"}
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			return RSA2048, nil
		case 3072:
			return RSA3072, nil
		case 4096:
			return RSA4096, nil
		}
		return "", &UnsupportedError{What: fmt.Sprintf("an RSA key of %d bits", k.N.BitLen()), Why: "2048, 3072 and 4096 bits are accepted"}
	}
	return "", &UnsupportedError{What: fmt.Sprintf("a public key of type %T", pub), Why: "agents accept Ed25519, P-256 and RSA"}
}

// SamePublic reports whether two public keys are the same key.
func SamePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && b != nil && k.Equal(b)
}

// Generator makes keys where they are going to live.
type Generator interface {
	// Generate makes a key under ref.URI and refuses if something is there already.
	Generate(ctx context.Context, ref Ref, opts GenerateOptions, ui UI) (Generated, error)
}

// GenerateOptions says what kind of key to make.
type GenerateOptions struct {
	// Algorithm is empty for the backend's default: P256 on hardware, Ed25519 in files.
	Algorithm Algorithm
	// Count is how many keys to make in a key file; 0 means 1. Tokens make one.
	Count int
	// PINPolicy and TouchPolicy are for PIV: "never", "once" or "cached", "always";
	// empty means always.
	PINPolicy, TouchPolicy string
	// Overwrite repeats the key ID (as the caller computes it) of the key that may be
	// replaced in a slot; KeyID computes it for a public key.
	Overwrite string
	KeyID     func(crypto.PublicKey) string
	// AttestationRoots are extra PEM certificates that an attestation may chain to.
	AttestationRoots []byte
}

// Generated is what Generate made.
type Generated struct {
	// URI names the new key in full (for a token: with its id).
	URI URI
	// Public holds one key for a token, GenerateOptions.Count keys for a file.
	Public []crypto.PublicKey
	// Attestation is a PEM chain, leaf first; empty where the device has none.
	Attestation []byte
	// Warnings name protections that the device would not give.
	Warnings []string
}

// Tokener lists the devices of a scheme: PKCS#11 slots, PIV cards.
type Tokener interface {
	// Tokens lists what is plugged in and matches u (nil attributes match all). A
	// device that cannot be read is listed with its Problem.
	Tokens(ctx context.Context, u URI) ([]Token, error)
}

// Token describes one device.
type Token struct {
	URI          URI
	Kind         string // "pkcs11", "piv"
	Label        string
	Serial       string
	Model        string
	Manufacturer string
	Firmware     string
	Reader       string // PIV: the PC/SC reader; PKCS#11: the slot's description
	Module       string // PKCS#11: resolved path
	Initialized  bool
	// PINTriesLeft is -1 where the device does not tell.
	PINTriesLeft int
	// Flags are words for people: "pin-count-low", "pin-final-try", "pin-locked",
	// "login-required", "write-protected", "protected-authentication-path".
	Flags       []string
	MaxSessions int      // 0: not stated or unlimited
	Slots       []string // PIV slots in use
	Warnings    []string
	Problem     string
}

// KeyLister lists the keys on a device or in a file.
type KeyLister interface {
	Keys(ctx context.Context, ref Ref, ui UI) ([]KeyInfo, error)
}

// Finder looks for a public key on what is plugged in, without any secret. An empty
// answer means "not here".
type Finder interface {
	Find(ctx context.Context, pub crypto.PublicKey) (URI, error)
}

// Describer tells where a key comes from.
type Describer interface {
	Describe(ctx context.Context, ref Ref, ui UI) (KeyInfo, error)
}

// KeyInfo is what a device says of a key. Pointers are nil where it says nothing.
type KeyInfo struct {
	URI       URI
	Public    crypto.PublicKey
	Algorithm Algorithm
	Label     string
	ID        []byte
	Token     Token
	// Reported by a PKCS#11 token; claims of the module, not proof.
	Local, NeverExtractable, AlwaysSensitive, Sensitive, Extractable, AlwaysAuthenticate *bool
	KeyGenMechanism                                                                      string
	// PIV
	Origin, PINPolicy, TouchPolicy string // origin "generated" or "imported"
	Warnings                       []string
	// Problem says why a listed key cannot be used, for example its type.
	Problem string
}

// Attester fetches and checks the certificate that proves where a key was born.
type Attester interface {
	// Attest returns a PEM chain, leaf first, that was verified against the roots.
	Attest(ctx context.Context, ref Ref, extraRoots []byte) (Attestation, error)
	// VerifyAttestation checks a stored chain, without any device.
	VerifyAttestation(chainPEM, extraRoots []byte) (Attestation, error)
}

// Attestation is what a verified certificate chain says.
type Attestation struct {
	Chain                  []byte // PEM, leaf first
	Public                 crypto.PublicKey
	Serial, Slot, Firmware string
	PINPolicy, TouchPolicy string
	FormFactor             string
	NotBefore              time.Time
	Root                   string // subject of the trust anchor
	// Warnings are the known flaws of the device's firmware that concern this key.
	Warnings []string
}

// Prober finds what would go wrong, for doctor.
type Prober interface {
	Probe(ctx context.Context, ref Ref) []Finding
}

// Finding is one thing that a probe saw.
type Finding struct {
	// Code is stable and lower-case with dashes, for example "module-missing".
	Code string
	// OK findings say what was checked; others are problems.
	OK bool
	// Warning is set in an OK finding that people should read: it keeps nobody from signing.
	Warning bool
	Text    string
	// Err is the typed error behind a problem, for hints; may be nil.
	Err error
}

// Reporter tells what a device or module is and can, for who reports that it does something
// unexpected (doctor --report). It asks for nothing, changes nothing, and tells nothing
// secret: no serial number, no label, no public key.
type Reporter interface {
	Report(ctx context.Context, u URI) ([]Report, error)
}

// Report is one device.
type Report struct {
	Device string // what it is: a reader, a module
	Facts  []Fact
}

// Fact is one thing that a device says of itself.
type Fact struct{ Name, Value string }

// SetterUp prepares a new device.
type SetterUp interface {
	Setup(ctx context.Context, u URI, opts SetupOptions, ui UI) (Token, error)
}

// SetupOptions says how to prepare a device.
type SetupOptions struct {
	// Erase repeats the label of a PKCS#11 token that may be erased.
	Erase string
	// Reset wipes a PIV card first; the caller has asked for the serial number.
	Reset bool
	// ManagementKey: a PIV card has a management key of its own, for which the UI is asked.
	ManagementKey bool
}
