package prompt

import (
	"context"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ReadFile reads a secret of one line from a file, without its line end. Errors:
// *SourceError.
func ReadFile(ctx context.Context, file string) ([]byte, error) {
	return readSource(ctx, "file:"+file, func(string, ...any) {})
}

// Ask asks for a secret that belongs to no device; signer.ErrNoTerminal if nobody can be
// asked.
func (u *Person) Ask(ctx context.Context, what string) ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return nil, err
	}
	b, err := t.Secret(ctx, Sprintf("%s: ", what))
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil || len(b) == 0 {
		return nil, &SourceError{Source: "terminal", Err: errors.Join(err, signer.ErrNoSecret)}
	}
	return b, nil
}
