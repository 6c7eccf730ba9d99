//go:build cgo

package piv

import (
	"errors"
	"strings"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// TestOnePINPerRun: the PIN goes to the card once, whichever of the connections needs it.
func TestOnePINPerRun(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	reader := plug(t, c)[0]
	must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, setupUI()))(t)
	already := len(c.Trace())
	must(newBackend(t, Options{}).Generate(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}, signer.GenerateOptions{}, setupUI()))(t)
	sent := 0
	for _, line := range c.Trace()[already:] {
		if strings.HasPrefix(line, "> 0020008008") {
			sent++
		}
	}
	if sent != 1 {
		t.Errorf("the PIN was sent %d times, want once", sent)
	}
	raw(t, reader, func(y *yk.YubiKey) {
		if _, err := y.Retries(); err != nil {
			t.Errorf("a PIN was left verified: %v", err)
		}
	})
}

// TestOtherCardBetween: piv-go's connection is given back, and the card in the reader is
// another one when ours is there, and the other way round. It gets nothing of the first one's.
func TestOtherCardBetween(t *testing.T) {
	for _, cfg := range []soft.Config{{Serial: 2}, {Serial: 2, Firmware: [3]byte{4, 3, 7}}, soft.CanoKey(2)} {
		reader := plug(t, newCard(t, cfg))[0]
		v := transaction{reader: reader, limit: 5 * time.Second}
		err := newBackend(t, Options{}).exchange(t.Context(), v, func(s *session) error {
			c, err := s.identify()
			if err != nil {
				return err
			}
			if err := errors.Join(s.direct(c, func(*direct) error { return nil }), s.reopen(c)); err != nil {
				t.Errorf("the same card: %v", err)
			}
			before := c
			before.serial = "1"
			for name, err := range map[string]error{
				"direct": s.direct(before, func(*direct) error { t.Error("went on with another card"); return nil }),
				"reopen": s.reopen(before),
			} {
				var absent *absentError
				if !errors.As(err, &absent) || !strings.Contains(err.Error(), "is in the reader instead") {
					t.Errorf("%s: %v, want one that says which card is there", name, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		raw(t, reader, func(*yk.YubiKey) {}) // everything was given back
	}
}

// TestHeldBetween: another program takes the card between the two connections, for a moment.
func TestHeldBetween(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	v := transaction{reader: plug(t, c)[0], limit: 5 * time.Second}
	err := newBackend(t, Options{}).exchange(t.Context(), v, func(s *session) error {
		me, err := s.identify()
		if err != nil {
			return err
		}
		c.SetBusy(2)
		if err := s.direct(me, func(d *direct) error { _, err := d.managementInfo(); return err }); err != nil {
			return err
		}
		c.SetBusy(2)
		return s.reopen(me)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSlotFilledBetween: a key that another program made after the look is not replaced.
func TestSlotFilledBetween(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {4, 3, 7}} {
		reader := plug(t, newCard(t, soft.Config{Serial: 1, Firmware: firmware}))[0]
		empty := slotKey{empty: true}
		rawDirect(t, reader, func(d *direct) {
			if err := d.unchanged(yk.SlotSignature, empty); err != nil {
				t.Errorf("an empty slot: %v", err)
			}
		})
		old := slotKey{public: provision(t, reader, yk.SlotSignature, quick())}
		rawDirect(t, reader, func(d *direct) {
			if err := d.unchanged(yk.SlotSignature, empty); !errors.Is(err, signer.ErrKeyExists) {
				t.Errorf("filled: %v, want ErrKeyExists", err)
			}
			if err := d.unchanged(yk.SlotSignature, old); err != nil {
				t.Errorf("the key that may go: %v", err)
			}
		})
		k := quick()
		k.Algorithm = yk.AlgorithmEC384
		for _, k := range []yk.Key{quick(), k} {
			provision(t, reader, yk.SlotSignature, k)
			rawDirect(t, reader, func(d *direct) {
				if err := d.unchanged(yk.SlotSignature, old); !errors.Is(err, signer.ErrKeyExists) {
					t.Errorf("replaced: %v, want ErrKeyExists", err)
				}
			})
		}
	}
}
