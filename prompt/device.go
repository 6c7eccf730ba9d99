package prompt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// What the ui says of devices: which to insert, which to touch, and by which name.

// withRoles adds the roles to a device's name: "YubiKey 15835999 (slot 9c, role root)".
func withRoles(device string, roles []string) string {
	if len(roles) == 0 {
		return device
	}
	what := "role " + strings.Join(roles, ", ")
	if inside, ok := strings.CutSuffix(device, ")"); ok {
		return inside + ", " + what + ")"
	}
	return device + " (" + what + ")"
}

// touchAfter and touchAgain are when a person is reminded: not at once, since most
// keys need no touch and answer before.
const (
	touchAfter = 200 * time.Millisecond
	touchAgain = 5 * time.Second
)

// Touch implements signer.UI.
func (u *Person) Touch(ctx context.Context, r signer.TouchRequest) func() {
	over := make(chan struct{})
	giveBack := u.hush()
	go u.remind(ctx, r, over)
	return sync.OnceFunc(func() {
		close(over)
		giveBack()
	})
}

// hush keeps what is typed while a device waits for a touch from the screen, and from
// whoever reads the terminal next.
func (u *Person) hush() (giveBack func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return func() {}
	}
	u.hushed = t.Hush()
	return u.hushed
}

func (u *Person) remind(ctx context.Context, r signer.TouchRequest, over <-chan struct{}) {
	wait := touchAfter
	for _, format := range []string{"%sTouch %s now.", "%sStill waiting: touch %s; its light is blinking."} {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		u.mu.Lock() // not while a PIN is typed
		select {
		case <-over: // it came meanwhile
		default:
			u.say(format, u.prefix(r.URI), withRoles(r.Device, r.Roles))
		}
		u.mu.Unlock()
		wait = touchAgain - touchAfter
	}
}

// Insert implements signer.UI.
func (u *Person) Insert(ctx context.Context, r signer.InsertRequest) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return err
	}
	device := u.namedAs(r.URI, r.Device)
	_, err = u.ask(ctx, t, Sprintf("%sInsert %s and press Enter%s: ", u.still(device), device, forRoles(r.Roles, "Ctrl-C to stop")))
	return err
}

// still says that a device is not there although the person was asked for it.
func (u *Person) still(device string) Text {
	again := u.insert == device
	u.insert = device
	if !again {
		return Text{}
	}
	return Sprintf("It is not there yet. ")
}

// InsertAny asks for one of several keys' devices, any of which would do. The person may
// also answer that it is for another time: false.
func (u *Person) InsertAny(ctx context.Context, places []signer.URI, role string) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return false, err
	}
	var names []string
	for _, p := range places {
		if name := u.Named(p); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	devices := strings.Join(names, " or ")
	answer, err := u.ask(ctx, t, Sprintf("%sInsert %s and press Enter%s: ", u.still(devices), devices,
		forRoles([]string{role}, `type "later" to sign with it another time`)))
	if err != nil {
		return false, err
	}
	return !strings.EqualFold(strings.Trim(strings.TrimSpace(answer), `"`), "later"), nil
}

func forRoles(roles []string, way string) string {
	if len(roles) == 0 {
		return " (" + way + ")"
	}
	return " (role " + strings.Join(roles, ", ") + "; " + way + ")"
}

// nameOf is the name that the configuration gives to a key at u, or to one on the
// device u; "" without one.
func (u *Person) nameOf(at signer.URI) string {
	cfg, err := u.opts.Config()
	if err != nil || at.IsZero() {
		return ""
	}
	return cfg.NameAt(at)
}

// Named names a device that is absent, with that name.
func (u *Person) Named(at signer.URI) string { return u.namedAs(at, at.DeviceName()) }

// namedAs adds that name: "YubiKey 15835999 (blue)".
func (u *Person) namedAs(at signer.URI, device string) string {
	if name := u.nameOf(at); name != "" {
		return fmt.Sprintf("%s (%s)", device, name)
	}
	return device
}

// prefix puts it in front of what is said: "[blue] ".
func (u *Person) prefix(at signer.URI) Text {
	if !at.Kind().Insertable {
		return Text{}
	}
	if name := u.nameOf(at); name != "" {
		return Sprintf("[%s] ", name)
	}
	return Text{}
}

// OnceMore asks whether a touch that did not come is to be waited for again. The PIN
// was right and is known, so this costs nothing.
func (u *Person) OnceMore(ctx context.Context, at signer.URI) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil || ctx.Err() != nil {
		return false
	}
	answer, err := u.ask(ctx, t, Sprintf("Nobody touched %s in time; the PIN was right and nothing is lost. "+
		`Press Enter, then touch it when it blinks (type "later" to stop here): `, u.Named(at)))
	return err == nil && strings.TrimSpace(answer) == ""
}
