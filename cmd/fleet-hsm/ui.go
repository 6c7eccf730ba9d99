package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ui asks the person at the terminal; it implements signer.UI. One question is on
// the screen at a time, and while a secret is typed nothing else is written there.
type ui struct {
	a *app
	// sources of `token setup` and friends
	newPIN, newPUK, soPIN string
	// management is the source of a card's management key.
	management string
	// changing: a new passphrase is for a file that has one already.
	changing bool

	// meanwhile is called before a person is asked or waited for, and what it gives
	// afterwards; nil if nobody else waits for that.
	meanwhile func(context.Context) (back func() error, err error)

	mu     sync.Mutex // held while somebody is asked
	term   *prompt.Terminal
	noTerm bool
	// offered says which device a source was offered to: never to a second one.
	offered map[string]offer
	// insert is the device that was asked for last.
	insert string
}

// offer is the device that a source was offered to.
type offer struct{ token, name string }

func (a *app) askUI() *ui {
	if a.ui == nil {
		a.ui = &ui{a: a, offered: map[string]offer{}}
	}
	return a.ui
}

func (u *ui) close() {
	if u.term != nil {
		_ = u.term.Close()
	}
}

// terminal opens the terminal once; signer.ErrNoTerminal without one or with
// --no-input.
func (u *ui) terminal() (*prompt.Terminal, error) {
	if u.a.noInput || u.noTerm {
		return nil, signer.ErrNoTerminal
	}
	if u.term == nil {
		t, err := prompt.OpenTerminal()
		if err != nil {
			u.noTerm = true
			return nil, signer.ErrNoTerminal
		}
		u.term = t
	}
	return u.term, nil
}

func (u *ui) hasTerminal() bool {
	_, err := u.terminal()
	return err == nil
}

// Secret implements signer.UI.
func (u *ui) Secret(ctx context.Context, r signer.SecretRequest) (signer.Secret, error) {
	return u.secret(ctx, r, false)
}

// secret asks the first source that applies, or a person. ownOnly leaves out the sources
// of PINs that name no token.
func (u *ui) secret(ctx context.Context, r signer.SecretRequest, ownOnly bool) (signer.Secret, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.insert = "" // who asks for a PIN has found the device
	sources, err := u.sourcesFor(r)
	if ownOnly && r.Kind == signer.PIN && err == nil {
		sources, err = u.ownPINSources(r.URI)
	}
	if err != nil {
		return signer.Secret{}, err
	}
	if len(sources) > 0 {
		return u.fromSource(ctx, r, sources[0])
	}
	t, err := u.terminal()
	if err != nil {
		return signer.Secret{}, &signer.NoSecretError{Kind: r.Kind, Device: r.Device, Tried: u.wouldTry(r), Err: err}
	}
	var secret signer.Secret
	err = u.while(ctx, func() error {
		secret, err = u.typed(ctx, t, r)
		return err
	})
	if err != nil {
		secret.Forget()
		return signer.Secret{}, err
	}
	return secret, nil
}

// while asks a person, and lets others work on the repository meanwhile.
func (u *ui) while(ctx context.Context, ask func() error) error {
	if u.meanwhile == nil {
		return ask()
	}
	back, err := u.meanwhile(ctx)
	if err != nil {
		return err
	}
	err = ask()
	if lost := back(); err == nil {
		return lost
	}
	return err
}

// ask asks for a line that is shown as it is typed.
func (u *ui) ask(ctx context.Context, t *prompt.Terminal, question prompt.Text) (answer string, err error) {
	err = u.while(ctx, func() error {
		if answer, err = t.Line(ctx, question); err != nil {
			return asked(err)
		}
		return nil
	})
	return answer, err
}

// fromSource reads the first source that is there. A source that cannot be read is
// an error: falling through to the next could offer a device a secret that was not
// meant for it.
func (u *ui) fromSource(ctx context.Context, r signer.SecretRequest, source string) (signer.Secret, error) {
	if r.TriesLeft == 1 {
		return signer.Secret{}, fmt.Errorf("%s: %w", r.Device, signer.ErrLastTry)
	}
	device := cmp.Or(r.Token, r.Device)
	if r.Kind == signer.Passphrase || r.Kind == signer.NewPassphrase {
		// One source serves all files of its role.
		device = strings.Join(r.Roles, " ")
	}
	key := string(r.Kind) + " " + source
	if other, used := u.offered[key]; used && other.token != device {
		return signer.Secret{}, &signer.NoSecretError{Kind: r.Kind, Device: r.Device,
			Err: fmt.Errorf("%s was offered to %s already and is not tried on a second device", source, other.name)}
	}
	u.offered[key] = offer{device, r.Device}
	if r.Kind == signer.Passphrase || r.Kind == signer.NewPassphrase {
		secret, err := readPassphrase(ctx, r.Kind, source, u.a.say)
		if err != nil {
			return signer.Secret{}, &signer.NoSecretError{Kind: r.Kind, Device: r.Device, Tried: []string{source}, Err: err}
		}
		u.warnLineEnd(r, source, secret)
		return secret, nil
	}
	b, err := readSource(ctx, source, u.a.say)
	if err == nil {
		err = checkLength(r, b)
	}
	if err != nil {
		return signer.Secret{}, &signer.NoSecretError{Kind: r.Kind, Device: r.Device, Tried: []string{source}, Err: err}
	}
	return signer.NewSecret(b), nil
}

// warnLineEnd says of a new passphrase what nobody sees: at a terminal it could not
// be typed.
func (u *ui) warnLineEnd(r signer.SecretRequest, source string, s signer.Secret) {
	if r.Kind == signer.NewPassphrase && len(trimLineEnd(s.Unwrap())) < len(s.Unwrap()) {
		u.a.warn("%s ends with a line end, which is now part of the passphrase of %s, as it is for fleetctl", source, r.Device)
	}
}

func checkLength(r signer.SecretRequest, b []byte) error {
	switch {
	case len(b) == 0:
		return errEmptySecret
	case r.Min > 0 && len(b) < r.Min:
		return fmt.Errorf("is shorter than the %d characters that the device takes", r.Min)
	case r.Max > 0 && len(b) > r.Max:
		return fmt.Errorf("is longer than the %d characters that the device takes", r.Max)
	case r.Kind != signer.Passphrase && r.Kind != signer.NewPassphrase:
		return typable(b)
	}
	return nil
}

// wouldTry names the sources that would have been used, for the hint.
func (u *ui) wouldTry(r signer.SecretRequest) []string {
	var out []string
	for _, role := range r.Roles {
		switch r.Kind {
		case signer.Passphrase, signer.NewPassphrase:
			name := "$FLEET_%s_PASSPHRASE"
			if u.changing && r.Kind == signer.NewPassphrase {
				name = "$FLEET_NEW_%s_PASSPHRASE"
			}
			out = append(out, variable(fmt.Sprintf(name, strings.ToUpper(role))))
		case signer.PIN:
			out = append(out, variable(fmt.Sprintf("$FLEET_%s_PIN", strings.ToUpper(role))), "--pin-source")
		}
	}
	switch r.Kind {
	case signer.NewPIN:
		out = append(out, "--new-pin-source")
	case signer.NewPUK:
		out = append(out, "--new-puk-source")
	case signer.ManagementKey:
		out = append(out, "--management-key-source")
	case signer.SOPIN, signer.NewSOPIN:
		out = append(out, "--so-pin-source")
	}
	return out
}

// variable names a variable that could hold a secret; one that is there and empty
// would be looked for in vain.
func variable(name string) string {
	if _, set := os.LookupEnv(name[1:]); set {
		return name + " a value (it is set and empty)"
	}
	return name
}

// typed asks at the terminal: twice for something new, with a typed yes before a
// device's last try.
func (u *ui) typed(ctx context.Context, t *prompt.Terminal, r signer.SecretRequest) (signer.Secret, error) {
	if r.TriesLeft == 1 {
		if err := u.lastTry(ctx, t, r); err != nil {
			return signer.Secret{}, err
		}
	}
	for {
		b, err := t.Secret(ctx, prompt.Sprintf("%s%s: ", u.prefix(r.URI), promptFor(r)))
		if err != nil {
			return signer.Secret{}, asked(err)
		}
		if err := checkLength(r, b); err != nil {
			t.Say(prompt.Sprintf("What was typed %v; it was not tried.", err))
			continue
		}
		if !isNew(r.Kind) {
			return signer.NewSecret(b), nil
		}
		again, err := t.Secret(ctx, prompt.Sprintf("The same again: "))
		if err != nil {
			return signer.Secret{}, asked(err)
		}
		if string(again) == string(b) {
			return signer.NewSecret(b), nil
		}
		t.Say(prompt.Sprintf("The two are not the same. Once more."))
	}
}

func asked(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", signer.ErrNoTerminal, err)
}

func isNew(k signer.SecretKind) bool {
	switch k {
	case signer.NewPassphrase, signer.NewPIN, signer.NewPUK, signer.NewSOPIN:
		return true
	}
	return false
}

func (u *ui) lastTry(ctx context.Context, t *prompt.Terminal, r signer.SecretRequest) error {
	answer, err := t.Line(ctx, prompt.Sprintf("%s%s has ONE try left. This is the last try: a wrong %s blocks it%s. Type yes to go on: ",
		u.prefix(r.URI), withRoles(r.Device, r.Roles), kindName(r.Kind), afterBlock(r)))
	if err != nil {
		return asked(err)
	}
	if answer != "yes" {
		return fmt.Errorf("%s: %w", r.Device, signer.ErrLastTry)
	}
	return nil
}

// afterBlock says what a block would mean.
func afterBlock(r signer.SecretRequest) string {
	if r.Blocked != "" {
		return ", and then " + r.Blocked
	}
	return ""
}

func kindName(k signer.SecretKind) string {
	switch k {
	case signer.Passphrase, signer.NewPassphrase:
		return "passphrase"
	case signer.PIN, signer.NewPIN:
		return "PIN"
	case signer.PUK, signer.NewPUK:
		return "PUK"
	case signer.ManagementKey:
		return "management key"
	}
	return "SO PIN"
}

// promptFor is what stands before the cursor: what, of which device, for which role,
// with how many tries left.
func promptFor(r signer.SecretRequest) string {
	what := cmp.Or(r.Name, kindName(r.Kind))
	if isNew(r.Kind) {
		what = "New " + what
	}
	s := strings.ToUpper(what[:1]) + what[1:] + " of " + withRoles(r.Device, r.Roles)
	switch {
	case r.TriesLeft == 1:
		s += ", 1 try left"
	case r.TriesLeft > 1:
		s += fmt.Sprintf(", %d tries left", r.TriesLeft)
	case r.CountLow:
		s += ", a wrong one was entered before"
	case isNew(r.Kind) && r.Min > 0 && r.Max > 0:
		s += fmt.Sprintf(" (%d to %d characters)", r.Min, r.Max)
	}
	if r.Note != "" {
		s += ". " + strings.TrimSuffix(r.Note, ".")
	}
	return s
}

// errNotConfirmed: the person did not say yes.
var errNotConfirmed = errors.New("not confirmed; nothing was signed")

// confirm asks for a typed yes.
func (u *ui) confirm(ctx context.Context, question string) error {
	answer, err := u.line(ctx, question+" Type yes to go on:")
	if err == nil && answer != "yes" {
		return errNotConfirmed
	}
	return err
}

// line asks for a line that is shown as it is typed.
func (u *ui) line(ctx context.Context, question string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return "", err
	}
	answer, err := u.ask(ctx, t, prompt.Sprintf("%s ", question))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(answer), nil
}

// Sourced implements signer.Sourced.
func (u *ui) Sourced(r signer.SecretRequest) bool {
	sources, err := u.sourcesFor(r)
	return err == nil && len(sources) > 0
}
