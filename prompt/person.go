package prompt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Person asks the person at the terminal; it implements signer.UI. One question is on the
// screen at a time, and while a secret is typed nothing else is written there.
type Person struct {
	opts Options
	// Given are the sources of secrets that flags of single commands name.
	Given Given
	// Changing: a new passphrase is for a file that has one already.
	Changing bool

	mu     sync.Mutex // held while somebody is asked
	term   *Terminal
	noTerm bool
	// offered says which device a source was offered to: never to a second one.
	offered map[string]offer
	// hushed gives the terminal back while a touch is waited for.
	hushed func()
	// insert is the device that was asked for last.
	insert string
}

// Options say how a person may be asked, and what spares asking.
type Options struct {
	// Talk is where reminders and warnings go.
	Talk *Writer
	// NoInput: nobody is asked.
	NoInput bool
	// PINSource is where the PIN of the command's token comes from, "" for nowhere.
	PINSource string
	// Folder is that of the repository; key files are named relative to it.
	Folder string
	// Config gives names of keys and sources of secrets.
	Config func() (*config.Config, error)
}

// Given are the sources of `token setup` and friends, "" for none.
type Given struct {
	NewPIN, NewPUK, SOPIN string
	// ManagementKey is the source of a card's management key.
	ManagementKey string
}

// offer is the device that a source was offered to.
type offer struct{ token, name string }

// NewPerson makes a person who is asked nothing yet.
func NewPerson(o Options) *Person { return &Person{opts: o, offered: map[string]offer{}} }

// Close gives the terminal back.
func (u *Person) Close() {
	if u.hushed != nil {
		u.hushed()
	}
	if u.term != nil {
		_ = u.term.Close()
	}
}

func (u *Person) say(format string, args ...any) { u.opts.Talk.Printf(format+"\n", args...) }

// terminal opens the terminal once; signer.ErrNoTerminal without one or with
// --no-input.
func (u *Person) terminal() (*Terminal, error) {
	if u.opts.NoInput || u.noTerm {
		return nil, signer.ErrNoTerminal
	}
	if u.term == nil {
		t, err := OpenTerminal()
		if err != nil {
			u.noTerm = true
			return nil, signer.ErrNoTerminal
		}
		u.term = t
	}
	return u.term, nil
}

// HasTerminal reports whether somebody can be asked.
func (u *Person) HasTerminal() bool {
	_, err := u.terminal()
	return err == nil
}

// Heard implements signer.Hearer.
func (u *Person) Heard(from, line string) {
	u.mu.Lock() // not while a PIN is typed
	defer u.mu.Unlock()
	u.say("%s: %s", from, line)
}

// Secret implements signer.UI: it asks the first source that applies, or a person.
func (u *Person) Secret(ctx context.Context, r signer.SecretRequest) (signer.Secret, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.insert = "" // who asks for a PIN has found the device
	sources, err := u.sourcesFor(r)
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
	return u.typed(ctx, t, r)
}

// Asks reports whether a person would be asked for a secret, and can be.
func (u *Person) Asks(r signer.SecretRequest) bool {
	sources, err := u.sourcesFor(r)
	return err == nil && len(sources) == 0 && u.HasTerminal()
}

// ask asks for a line that is shown as it is typed.
func (u *Person) ask(ctx context.Context, t *Terminal, question Text) (string, error) {
	answer, err := t.Line(ctx, question)
	if err != nil {
		return "", asked(err)
	}
	return answer, nil
}

// fromSource reads the first source that is there. A source that cannot be read is
// an error: falling through to the next could offer a device a secret that was not
// meant for it.
func (u *Person) fromSource(ctx context.Context, r signer.SecretRequest, source string) (signer.Secret, error) {
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
		secret, err := readPassphrase(ctx, r.Kind, source, u.say)
		if err != nil {
			return signer.Secret{}, &signer.NoSecretError{Kind: r.Kind, Device: r.Device, Tried: []string{source}, Err: err}
		}
		u.warnLineEnd(r, source, secret)
		return secret, nil
	}
	b, err := readSource(ctx, source, u.say)
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
func (u *Person) warnLineEnd(r signer.SecretRequest, source string, s signer.Secret) {
	if r.Kind == signer.NewPassphrase && len(trimLineEnd(s.Unwrap())) < len(s.Unwrap()) {
		u.say("warning: %s ends with a line end, which is now part of the passphrase of %s, as it is for fleetctl", source, r.Device)
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
func (u *Person) wouldTry(r signer.SecretRequest) []string {
	var out []string
	for _, role := range r.Roles {
		switch r.Kind {
		case signer.Passphrase, signer.NewPassphrase:
			name := "$FLEET_%s_PASSPHRASE"
			if u.Changing && r.Kind == signer.NewPassphrase {
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
// would be looked for in vain, and one that has a value was not meant for this device.
func variable(name string) string {
	switch value, set := os.LookupEnv(name[1:]); {
	case set && value == "":
		return name + " a value (it is set and empty)"
	case set:
		return "a source for this device by name, in secrets: of the configuration (" + name + " names none)"
	}
	return name
}

// typed asks at the terminal: twice for something new, with a typed yes before a
// device's last try.
func (u *Person) typed(ctx context.Context, t *Terminal, r signer.SecretRequest) (signer.Secret, error) {
	if r.TriesLeft == 1 {
		if err := u.lastTry(ctx, t, r); err != nil {
			return signer.Secret{}, err
		}
	}
	for {
		b, err := t.Secret(ctx, Sprintf("%s%s: ", u.prefix(r.URI), promptFor(r)))
		if err != nil {
			return signer.Secret{}, asked(err)
		}
		if err := checkLength(r, b); err != nil {
			t.Say(Sprintf("What was typed %v; it was not tried.", err))
			continue
		}
		if !isNew(r.Kind) {
			return signer.NewSecret(b), nil
		}
		again, err := t.Secret(ctx, Sprintf("The same again: "))
		if err != nil {
			return signer.Secret{}, asked(err)
		}
		if string(again) == string(b) {
			return signer.NewSecret(b), nil
		}
		t.Say(Sprintf("The two are not the same. Once more."))
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

func (u *Person) lastTry(ctx context.Context, t *Terminal, r signer.SecretRequest) error {
	answer, err := t.Line(ctx, Sprintf("%s%s has ONE try left. This is the last try: a wrong %s blocks it%s. Type yes to go on: ",
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

// Confirm asks for a typed yes.
func (u *Person) Confirm(ctx context.Context, question string) error {
	answer, err := u.Line(ctx, question+" Type yes to go on:")
	if err == nil && answer != "yes" {
		return signer.ErrNotConfirmed
	}
	return err
}

// Line asks for a line that is shown as it is typed.
func (u *Person) Line(ctx context.Context, question string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return "", err
	}
	answer, err := u.ask(ctx, t, Sprintf("%s ", question))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(answer), nil
}

// Sourced implements signer.Sourced.
func (u *Person) Sourced(r signer.SecretRequest) bool {
	sources, err := u.sourcesFor(r)
	return err == nil && len(sources) > 0
}
