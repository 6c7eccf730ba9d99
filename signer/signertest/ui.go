package signertest

import (
	"context"
	"slices"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// UI is a signer.UI for tests: it gives the answers it was told and records the
// questions. It is safe for concurrent use. The zero value has no source for
// anything and nobody to ask.
type UI struct {
	// Answers holds the secret for each kind of question. A kind that is not there
	// is *signer.NoSecretError.
	Answers map[signer.SecretKind]string
	// Ask overrides Answers: it is called with each question.
	Ask func(ctx context.Context, r signer.SecretRequest) (string, error)
	// Person says that the answers come from a person at a terminal, who may use a
	// last try. Without it a request with one try left is ErrLastTry.
	Person bool
	// Named says that the answers come from sources that can be read again.
	Named bool
	// OnInsert is called when a device is asked for; nil means signer.ErrNoTerminal.
	OnInsert func(signer.InsertRequest) error

	mu       sync.Mutex
	secrets  []signer.SecretRequest
	touches  []signer.TouchRequest
	touching int
	inserts  []signer.InsertRequest
}

// NewUI answers every question of one kind with secret.
func NewUI(kind signer.SecretKind, secret string) *UI {
	return &UI{Answers: map[signer.SecretKind]string{kind: secret}}
}

// Secret implements signer.UI.
func (u *UI) Secret(ctx context.Context, r signer.SecretRequest) (signer.Secret, error) {
	u.mu.Lock()
	u.secrets = append(u.secrets, r)
	u.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return signer.Secret{}, err
	}
	if r.TriesLeft == 1 && !u.Person {
		return signer.Secret{}, signer.ErrLastTry
	}
	if u.Ask != nil {
		s, err := u.Ask(ctx, r)
		return signer.NewSecret([]byte(s)), err
	}
	s, ok := u.Answers[r.Kind]
	if !ok {
		return signer.Secret{}, &signer.NoSecretError{Kind: r.Kind, Device: r.Device}
	}
	return signer.NewSecret([]byte(s)), nil
}

// Touch implements signer.UI.
func (u *UI) Touch(_ context.Context, r signer.TouchRequest) func() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.touches = append(u.touches, r)
	u.touching++
	var once sync.Once
	return func() {
		once.Do(func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.touching--
		})
	}
}

// Insert implements signer.UI.
func (u *UI) Insert(_ context.Context, r signer.InsertRequest) error {
	u.mu.Lock()
	u.inserts = append(u.inserts, r)
	u.mu.Unlock()
	if u.OnInsert == nil {
		return signer.ErrNoTerminal
	}
	return u.OnInsert(r)
}

// Secrets lists the questions for secrets so far.
func (u *UI) Secrets() []signer.SecretRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.secrets)
}

// Touches lists the announced touches so far.
func (u *UI) Touches() []signer.TouchRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.touches)
}

// Touching is the number of announced touches that are not over.
func (u *UI) Touching() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.touching
}

// Inserts lists the devices that were asked for so far.
func (u *UI) Inserts() []signer.InsertRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.inserts)
}

// Sourced implements signer.Sourced.
func (u *UI) Sourced(r signer.SecretRequest) bool {
	_, ok := u.Answers[r.Kind]
	return u.Named && (ok || u.Ask != nil)
}
