package signer

import (
	"context"
	"fmt"
)

// Secret holds a PIN or passphrase. It prints as stars whatever the verb; reading
// it takes an explicit Unwrap.
type Secret struct{ b, or []byte }

// NewSecret wraps a secret.
func NewSecret(b []byte) Secret { return Secret{b: b} }

// Or adds a second spelling, for key files alone: a passphrase has no tries to lose.
func (s Secret) Or(b []byte) Secret { return Secret{b: s.b, or: b} }

// Spellings are the secret and, if it has one, its second spelling.
func (s Secret) Spellings() [][]byte {
	if len(s.or) == 0 {
		return [][]byte{s.b}
	}
	return [][]byte{s.b, s.or}
}

// Unwrap gives the bytes. The caller must not keep or print them.
func (s Secret) Unwrap() []byte { return s.b }

// Empty reports whether there is no secret in it.
func (s Secret) Empty() bool { return len(s.b) == 0 }

// Forget overwrites the bytes. Copies made by libraries and the runtime stay.
func (s Secret) Forget() {
	clear(s.b)
	clear(s.or)
}

// Format implements fmt.Formatter: stars for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// SecretKind says what is asked for.
type SecretKind string

// The kinds of secret.
const (
	Passphrase    SecretKind = "passphrase"     // of a key file
	NewPassphrase SecretKind = "new-passphrase" // asked twice
	PIN           SecretKind = "pin"            // user PIN of a token or card
	NewPIN        SecretKind = "new-pin"        // asked twice
	PUK           SecretKind = "puk"            // PIV
	NewPUK        SecretKind = "new-puk"        // asked twice
	ManagementKey SecretKind = "management-key" // PIV, as 32, 48 or 64 hexadecimal digits
	SOPIN         SecretKind = "so-pin"         // PKCS#11 security officer
	NewSOPIN      SecretKind = "new-so-pin"     // asked twice
)

// SecretRequest says which secret is wanted, and what a person should know first.
type SecretRequest struct {
	Kind SecretKind
	// URI is the key or token, with its query (pin-source).
	URI URI
	// Device names the token or card for people: `YubiKey 15835999 (slot 9c)`,
	// `token "fleet"`, `key file "keys/root.json"`.
	Device string
	// Token tells the token or card from every other one, where Device (a label) may not;
	// "" where Device does.
	Token string
	Roles []string
	// TriesLeft is -1 where the device does not tell. With 1 left a person is asked
	// to confirm first, and a source that is not a person is refused (ErrLastTry).
	TriesLeft int
	// CountLow: the token says that a wrong PIN was entered since the last right one,
	// without a number.
	CountLow bool
	// Name is what the device calls the secret, such as "PIV PIN"; "" for the usual name of
	// its kind. Blocked says what would open it again if too many wrong ones were given.
	Name, Blocked string
	// Own: only a source that was named for this very token may give it. Where the device
	// is, is known from somebody else's words.
	Own bool
	// Note is one more sentence for the prompt, such as "This is not the FIDO2 PIN."
	Note string
	// Min and Max bound the length in bytes, 0 for no bound; checked before the
	// device sees the secret.
	Min, Max int
}

// TouchRequest says which device waits for a touch.
type TouchRequest struct {
	// URI names the key or token, for the name that people gave it; may be zero.
	URI    URI
	Device string
	Roles  []string
	// PINPad: the device waits for its PIN, to be entered on the device itself, and
	// not for a touch.
	PINPad bool
}

// InsertRequest says which device is missing.
type InsertRequest struct {
	URI    URI
	Device string // `YubiKey 15835999`
	Roles  []string
}

// UI asks people for secrets, touches and cards. It is implemented once, in package prompt;
// tests have their own.
type UI interface {
	// Secret returns the secret from the first source that applies, or an error of
	// the kind *NoSecretError, ErrLastTry or context.Canceled. It never returns an
	// empty secret.
	Secret(ctx context.Context, r SecretRequest) (Secret, error)
	// Touch announces that a device may be waiting for a touch; the UI shows a
	// reminder after a moment. The returned function ends it and is idempotent.
	Touch(ctx context.Context, r TouchRequest) (done func())
	// Insert asks for a device that is absent and returns when the person says that
	// it is there; ErrNoTerminal where nobody can be asked.
	Insert(ctx context.Context, r InsertRequest) error
}

// Hearer is a UI that shows what somebody's program says beside its answer.
type Hearer interface {
	// Heard shows one line; from names the program. Both are its author's words.
	Heard(from, line string)
}

// Sourced is a UI that knows whether a secret comes from a source that is no person.
type Sourced interface {
	// Sourced reports whether a file, a variable or a command was named for a secret, so
	// that Secret can be asked again, and what it gives may have changed.
	Sourced(r SecretRequest) bool
}
