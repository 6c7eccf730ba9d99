package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
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
func (u *ui) Touch(ctx context.Context, r signer.TouchRequest) func() {
	// What came of it meanwhile is told when the signature is kept.
	back := func() error { return nil }
	if u.meanwhile != nil {
		if b, err := u.meanwhile(ctx); err == nil {
			back = b
		}
	}
	over := make(chan struct{})
	go u.remind(ctx, r, over)
	return sync.OnceFunc(func() {
		close(over)
		_ = back()
	})
}

func (u *ui) remind(ctx context.Context, r signer.TouchRequest, over <-chan struct{}) {
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
			u.a.say(format, u.prefix(r.URI), withRoles(r.Device, r.Roles))
		}
		u.mu.Unlock()
		wait = touchAgain - touchAfter
	}
}

// Insert implements signer.UI.
func (u *ui) Insert(ctx context.Context, r signer.InsertRequest) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return err
	}
	device := u.namedAs(r.URI, r.Device)
	_, err = u.ask(ctx, t, prompt.Sprintf("%sInsert %s and press Enter%s: ", u.still(device), device, forRoles(r.Roles, "Ctrl-C to stop")))
	return err
}

// still says that a device is not there although the person was asked for it.
func (u *ui) still(device string) prompt.Text {
	again := u.insert == device
	u.insert = device
	if !again {
		return prompt.Text{}
	}
	return prompt.Sprintf("It is not there yet. ")
}

// errLater: the person will bring the device another time.
var errLater = errors.New("another time")

// insertAny asks for one of several keys' devices, any of which would do. The
// person may also answer that it is for another time: errLater.
func (u *ui) insertAny(ctx context.Context, places []signer.URI, role string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil {
		return err
	}
	var names []string
	for _, p := range places {
		if name := u.named(p); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	devices := strings.Join(names, " or ")
	answer, err := u.ask(ctx, t, prompt.Sprintf("%sInsert %s and press Enter%s: ", u.still(devices), devices,
		forRoles([]string{role}, `type "later" to sign with it another time`)))
	if err != nil {
		return err
	}
	if strings.EqualFold(strings.Trim(strings.TrimSpace(answer), `"`), "later") {
		return errLater
	}
	return nil
}

func forRoles(roles []string, way string) string {
	if len(roles) == 0 {
		return " (" + way + ")"
	}
	return " (role " + strings.Join(roles, ", ") + "; " + way + ")"
}

// nameOf is the name that the configuration gives to a key at u, or to one on the
// device u; "" without one.
func (u *ui) nameOf(at signer.URI) string {
	cfg, err := u.a.config()
	if err != nil || at.IsZero() {
		return ""
	}
	for _, id := range slices.SortedFunc(maps.Keys(cfg.Locations), tuf.KeyID.Compare) {
		if name := cfg.Keys[id].Name; name != "" && at.Covers(cfg.Locations[id]) {
			return name
		}
	}
	return ""
}

// named names a device that is absent, with that name.
func (u *ui) named(at signer.URI) string { return u.namedAs(at, at.DeviceName()) }

// namedAs adds that name: "YubiKey 15835999 (blue)".
func (u *ui) namedAs(at signer.URI, device string) string {
	if name := u.nameOf(at); name != "" {
		return fmt.Sprintf("%s (%s)", device, name)
	}
	return device
}

// prefix puts it in front of what is said: "[blue] ".
func (u *ui) prefix(at signer.URI) prompt.Text {
	if !at.Kind().Insertable {
		return prompt.Text{}
	}
	if name := u.nameOf(at); name != "" {
		return prompt.Sprintf("[%s] ", name)
	}
	return prompt.Text{}
}

// onceMore asks whether a touch that did not come is to be waited for again. The PIN
// was right and is known, so this costs nothing.
func (u *ui) onceMore(ctx context.Context, at signer.URI) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, err := u.terminal()
	if err != nil || ctx.Err() != nil {
		return false
	}
	answer, err := u.ask(ctx, t, prompt.Sprintf("Nobody touched %s in time; the PIN was right and nothing is lost. "+
		`Press Enter, then touch it when it blinks (type "later" to stop here): `, u.named(at)))
	return err == nil && strings.TrimSpace(answer) == ""
}
