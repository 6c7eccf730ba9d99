package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// desk is the cards in front of a person, and what they are plugged into. Its folder
// holds ca.pem and ca-key.pem (the test authority), cards/SERIAL (one card each), env
// (to be sourced), control (where the running one listens) and lock.
type desk struct {
	dir       string
	temporary bool // dir goes away at the end
	lock      *os.File
	cards     []*card.Card
	plugged   interface {
		Env() []string
		Close() error
	}
	through string // which transport that is
	control net.Listener
	talk    io.Writer // what happens to the cards
	quit    chan struct{}
	once    sync.Once
}

// open makes or loads the cards, plugs them in and writes env.
func open(o options, talk io.Writer) (*desk, error) {
	d := &desk{dir: o.state, talk: talk, quit: make(chan struct{})}
	if err := d.start(o); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *desk) start(o options) error {
	if err := d.claim(); err != nil {
		return err
	}
	if err := d.load(o); err != nil {
		return err
	}
	for _, c := range d.cards {
		if err := setTouch(c, o.touch); err != nil {
			return err
		}
	}
	if err := d.plug(o.transport); err != nil {
		return err
	}
	if err := d.openControl(); err != nil {
		return err
	}
	return atomicfile.Write(d.path("env"), []byte(d.exports()), 0o600)
}

// exports is the environment that leads to the cards, for a shell.
func (d *desk) exports() string {
	var b strings.Builder
	for _, kv := range d.plugged.Env() {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
	}
	return b.String()
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

// claim makes the folder and keeps a second softpiv out of it.
func (d *desk) claim() error {
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "softpiv-desk-")
		if err != nil {
			return err
		}
		d.dir, d.temporary = dir, true
	}
	absolute, err := filepath.Abs(d.dir)
	if err != nil {
		return err
	}
	d.dir = absolute
	if err := os.MkdirAll(d.path("cards"), 0o700); err != nil {
		return err
	}
	if d.lock, err = os.OpenFile(d.path("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := lockFile(d.lock); err != nil {
		_ = d.lock.Close()
		d.lock = nil
		return fmt.Errorf("another softpiv runs on %q", d.dir)
	}
	return nil
}

// load takes the cards asked for, or those in the folder, or two new ones.
func (d *desk) load(o options) error {
	firmware, err := parseFirmware(o.firmware)
	if err != nil {
		return err
	}
	ca, err := card.NewCA(d.dir)
	if err != nil {
		return err
	}
	serials := slices.Clone(o.serials)
	if len(serials) == 0 {
		if serials, err = d.kept(); err != nil {
			return err
		}
	}
	if len(serials) == 0 {
		serials = serialList{10000001, 10000002}
	}
	for _, n := range serials {
		c, err := card.New(card.Config{
			Serial: n, Firmware: firmware, CA: ca, Dir: d.path(filepath.Join("cards", fmt.Sprint(n))),
			OnTouch: func(slot byte) { d.wanted(n, slot) },
		})
		if err != nil {
			return err
		}
		d.cards = append(d.cards, c)
	}
	return nil
}

// wanted tells the person that a card blinks.
func (d *desk) wanted(serial uint32, slot byte) {
	_, _ = fmt.Fprintf(d.talk, "card %d blinks: it wants a touch for slot %02x\n", serial, slot)
}

// kept lists the serial numbers in the folder.
func (d *desk) kept() (serialList, error) {
	entries, err := os.ReadDir(d.path("cards"))
	if err != nil {
		return nil, err
	}
	var list serialList
	for _, e := range entries {
		if err := list.Set(e.Name()); err != nil {
			return nil, fmt.Errorf("%q: %w", d.path("cards"), err)
		}
	}
	slices.Sort(list)
	return list, nil
}

func parseFirmware(s string) (v [3]byte, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != len(v) {
		return v, fmt.Errorf("firmware %q is not like 5.7.1", s)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return v, fmt.Errorf("firmware %q is not like 5.7.1", s)
		}
		v[i] = byte(n)
	}
	return v, nil
}

// plug puts the cards into readers.
func (d *desk) plug(transport string) error {
	switch transport {
	case "pcscd":
		return d.plugPCSCD()
	case "stub":
		return d.plugStub()
	case "auto":
		err := d.plugPCSCD()
		if err == nil {
			return nil
		}
		_, _ = fmt.Fprintf(d.talk, "no pcscd (%v); a stand-in library instead\n", err)
		return d.plugStub()
	}
	return fmt.Errorf("transport %q is none of auto, pcscd, stub", transport)
}

func (d *desk) plugPCSCD() error {
	daemon, err := pcsc.StartPCSCD(d.cards...)
	if err != nil {
		return err
	}
	d.plugged, d.through = daemon, "pcscd"
	return nil
}

func (d *desk) plugStub() error {
	server, err := pcsc.Serve(d.cards...)
	if err != nil {
		return err
	}
	d.plugged, d.through = server, "stub"
	return nil
}

// close unplugs everything; env and control would point nowhere, so they go too.
func (d *desk) close() error {
	var errs []error
	if d.control != nil {
		errs = append(errs, d.control.Close(), os.RemoveAll(filepath.Dir(d.control.Addr().String())))
	}
	if d.plugged != nil {
		errs = append(errs, d.plugged.Close())
	}
	if d.lock != nil {
		_, _ = os.Remove(d.path("env")), os.Remove(d.path("control"))
		errs = append(errs, d.lock.Close())
	}
	if d.temporary {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// quote makes a word for the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
