//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Report says of every card that u can mean which commands of the PIV applet and of
// Yubico's extensions it answers, and how. Cards that u does not name are not touched.
func (b *Backend) Report(ctx context.Context, u signer.URI) ([]signer.Report, error) {
	readers, err := b.listReaders(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing cards: %w", err)
	}
	meant, others := matching(readers, u)
	var out []signer.Report
	for _, r := range meant {
		facts := []signer.Fact{}
		v := transaction{reader: r, limit: b.opts.Deadline, busy: b.opts.BusyFor}
		err := b.exchange(ctx, v, func(s *session) (err error) {
			facts, err = s.report()
			return err
		})
		switch {
		case errors.Is(err, signer.ErrCanceled):
			return nil, err
		case errors.Is(err, signer.ErrNoToken):
			facts = []signer.Fact{{Name: "card", Value: "none in the reader"}}
		case err != nil:
			facts = []signer.Fact{{Name: "problem", Value: err.Error()}}
		}
		out = append(out, signer.Report{Device: fmt.Sprintf("card in reader %q", r), Facts: facts})
	}
	for _, r := range others {
		out = append(out, signer.Report{Device: fmt.Sprintf("card in reader %q", r), Facts: []signer.Fact{
			{Name: "card", Value: fmt.Sprintf("not looked at; %q looks", readerURI(r).String())},
		}})
	}
	return out, nil
}

// report asks the card what it is and can. Nothing that it sends costs a try.
func (s *session) report() ([]signer.Fact, error) {
	c, err := s.identify()
	if err != nil {
		return nil, err
	}
	facts := []signer.Fact{
		{Name: "firmware", Value: c.firmware()},
		{Name: "serial number", Value: word(c.serial != "", "told", "not told")},
	}
	add := func(name, value string) { facts = append(facts, signer.Fact{Name: name, Value: value}) }
	err = s.direct(c, func(d *direct) error { return d.report(c, add) })
	return facts, err
}

// report is what piv-go has no way to ask, or does not tell.
func (d *direct) report(c card, add func(name, value string)) error {
	for _, one := range []struct {
		ref  byte
		name string
	}{{refManagement, "metadata of the management key"}, {refPIN, "metadata of the PIN"}, {refPUK, "metadata of the PUK"}} {
		answer, err := d.transmit(insGetMetadata, 0, one.ref, nil)
		if dead := d.fatal(err); dead != nil {
			return dead
		}
		add(one.name, answerText(answer, err))
	}
	for _, tag := range []uint16{0xC102, 0xC107} { // CHUID and CCC: whether, not which
		_, err := d.getData(tag)
		if dead := d.fatal(err); dead != nil {
			return dead
		}
		add(fmt.Sprintf("object 5F%04X", tag), answerText(nil, err))
	}
	for _, slot := range []piv.Slot{piv.SlotSignature, piv.SlotAuthentication, piv.SlotKeyManagement, piv.SlotCardAuthentication} {
		if err := d.reportSlot(slot, add); err != nil {
			return err
		}
	}
	d.reportDevice(c, add)
	return nil
}

// reportSlot tells how the card shows what is in a slot, without the public key.
func (d *direct) reportSlot(slot piv.Slot, add func(name, value string)) error {
	answer, err := d.transmit(insGetMetadata, 0, byte(slot.Key), nil)
	if dead := d.fatal(err); dead != nil {
		return dead
	}
	text := answerText(nil, err)
	if list, bad := elements(answer); err == nil && bad == nil {
		text = fmt.Sprintf("algorithm %x, policies %x, origin %x, public key of %d bytes", list[1], list[2], list[3], len(list[4]))
	} else if err == nil {
		text = fmt.Sprintf("%d bytes that are not a list of elements", len(answer))
	}
	add("metadata of slot "+slot.String(), text)
	_, err = d.attest(slot)
	if dead := d.fatal(err); dead != nil {
		return dead
	}
	add("attestation of slot "+slot.String(), answerText(nil, err))
	return nil
}

// reportDevice reads what a YubiKey's management applet says of its form and policies.
func (d *direct) reportDevice(c card, add func(name, value string)) {
	if !c.yubikey || c.before(5, 0, 0) {
		return
	}
	list, err := d.deviceInfo()
	if err != nil || list == nil {
		add("management applet", "not told")
		return
	}
	complexity := "not told"
	if v := list[0x16]; len(v) == 1 {
		complexity = word(v[0] != 0, "on", "off")
	}
	add("PIN complexity", complexity)
	if v := list[4]; len(v) == 1 {
		add("form", formFactorName(v[0]))
	}
}

// answerText is an answer in the words of the standard: the status word of a refusal, or
// the data in hexadecimal digits, of which the caller gives none that is secret.
func answerText(data []byte, err error) string {
	switch {
	case err == nil && len(data) == 0:
		return "9000"
	case err == nil:
		return fmt.Sprintf("9000 %x", data)
	case status(err) != 0:
		return fmt.Sprintf("%04x", status(err))
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

func word(yes bool, one, other string) string {
	if yes {
		return one
	}
	return other
}
