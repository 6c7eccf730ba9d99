package card

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Config says what card to make. The zero value is a YubiKey 5.7.1 in memory with a
// random serial number.
type Config struct {
	// Serial is the number printed on the card; 0 takes the one in Dir or a random one.
	Serial uint32
	// Firmware is the version; zero means 5.7.1 (5.2.4 with OtherVendor). A card that
	// is in Dir already keeps its own.
	Firmware [3]byte
	// Reader is the name under which transports show it; "" lets them choose one
	// that contains "YubiKey" (not with OtherVendor).
	Reader string
	// Dir keeps the state; "" keeps it in memory.
	Dir string
	// CA signs the attestation certificate; nil means the card makes its own, in Dir
	// if there is one.
	CA *CA
	// PINTries and PUKTries are the factory counters; 0 means 3 (5 with OtherVendor).
	PINTries, PUKTries int
	// TouchTimeout is how long a command waits for a finger; 0 means 15 s.
	TouchTimeout time.Duration
	// OtherVendor makes it a PIV card that is not a YubiKey: all of Lacks, five PIN
	// tries, no OTP or management applet.
	OtherVendor bool
	// Lacks takes single features away, as imitations of a YubiKey do.
	Lacks Feature
	// Quirks are what a card does otherwise than YubiKeys.
	Quirks Quirk
	// T0Only gives an ATR that offers only the T=0 protocol.
	T0Only bool
	// FormFactor is what attestations and the management applet say; 0 means 1,
	// USB-A keychain.
	FormFactor byte
	// OnTouch, if not nil, is called when the card starts to wait for a touch of a
	// key in slot. It must not call Transmit.
	OnTouch func(slot byte)
	// Trace, if not nil, gets every line of Trace as it happens.
	Trace io.Writer
}

// Feature is a set of things that YubiKeys have and not every PIV card has.
type Feature uint16

// The features.
const (
	SerialNumber  Feature = 1 << iota // GET SERIAL
	KeyMetadata                       // GET METADATA
	Attestation                       // ATTEST, and a certificate for it
	TouchPolicies                     // touch policies other than "never"
	RetryCounters                     // SET PIN RETRIES
	AESManagement                     // management keys other than 3DES
	PolicyTags                        // GENERATE with a PIN or touch policy, even the default one
	PrintedObject                     // object 5FC109, where the management key is kept

	allFeatures = SerialNumber | KeyMetadata | Attestation | TouchPolicies
)

// Reasons why there is no answer.
var (
	// ErrRemoved: the card is not there, or left before it answered.
	ErrRemoved = errors.New("card removed")
	// ErrReset: the card was reset by something else and forgot its session.
	ErrReset = errors.New("card reset")
)

// Card is one card. Its methods may be called concurrently; commands are answered
// one at a time.
type Card struct {
	cfg  Config
	root []byte // PEM of the authority

	exchange sync.Mutex // held for one command, also while it waits for a touch
	mu       sync.Mutex // protects all below
	state    state
	session  session
	knobs    knobs
	log      tracer
	touches  chan struct{} // a touch by hand
	changed  chan struct{} // closed when the card comes, goes or is reset
	life     uint64        // counts power cycles: what began in another life is void
	arrivals uint64        // counts insertions and removals
}

// New makes a card or loads it from cfg.Dir.
func New(cfg Config) (*Card, error) {
	cfg = withDefaults(cfg)
	c := &Card{cfg: cfg, touches: make(chan struct{}), changed: make(chan struct{})}
	c.knobs.present = true
	c.knobs.touchTimeout = cfg.TouchTimeout
	c.log.w = cfg.Trace
	st, err := loadState(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if st != nil {
		return c, c.adopt(*st)
	}
	return c, c.manufacture()
}

func withDefaults(cfg Config) Config {
	if cfg.Firmware == ([3]byte{}) {
		cfg.Firmware = [3]byte{5, 7, 1}
		if cfg.OtherVendor {
			cfg.Firmware = [3]byte{5, 2, 4}
		}
	}
	tries := 3
	if cfg.OtherVendor {
		tries = 5
	}
	if cfg.PINTries == 0 {
		cfg.PINTries = tries
	}
	if cfg.PUKTries == 0 {
		cfg.PUKTries = tries
	}
	if cfg.TouchTimeout == 0 {
		cfg.TouchTimeout = 15 * time.Second
	}
	if cfg.FormFactor == 0 {
		cfg.FormFactor = 1
	}
	if cfg.OtherVendor {
		cfg.Lacks |= allFeatures
	}
	return cfg
}

// adopt takes over a saved state; the configuration may not contradict it.
func (c *Card) adopt(st state) error {
	if c.cfg.Serial != 0 && c.cfg.Serial != st.Serial {
		return fmt.Errorf("%q holds card %d, not %d", c.cfg.Dir, st.Serial, c.cfg.Serial)
	}
	c.cfg.Serial = st.Serial
	c.cfg.Firmware = st.Firmware
	c.cfg.FormFactor = st.FormFactor
	c.cfg.OtherVendor, c.cfg.Lacks, c.cfg.Quirks = st.OtherVendor, st.Lacks, st.Quirks
	c.cfg.PINTries, c.cfg.PUKTries = st.FactoryPINTries, st.FactoryPUKTries
	c.root = st.Root
	c.state = st
	return nil
}

// manufacture gives a new card its number, its attestation key and factory state.
func (c *Card) manufacture() error {
	if c.cfg.Serial == 0 {
		c.cfg.Serial = randomSerial()
	}
	ca := c.cfg.CA
	if ca == nil {
		var err error
		if ca, err = NewCA(c.cfg.Dir); err != nil {
			return err
		}
	}
	c.root = ca.PEM()
	f9, err := ca.issue(c.cfg.Firmware)
	if err != nil {
		return err
	}
	c.state = state{
		Serial: c.cfg.Serial, Firmware: c.cfg.Firmware, FormFactor: c.cfg.FormFactor, OtherVendor: c.cfg.OtherVendor, Lacks: c.cfg.Lacks, Quirks: c.cfg.Quirks,
		FactoryPINTries: c.cfg.PINTries, FactoryPUKTries: c.cfg.PUKTries, Root: c.root,
		Slots: map[string]*slot{}, Objects: map[string][]byte{},
	}
	if !c.lacks(Attestation) {
		c.state.Slots[slotName(slotAttestation)] = f9.slot
		c.state.Objects[objectAttestation] = f9.object
	}
	c.factoryReset()
	return c.save()
}

// randomSerial gives eight digits, as on today's cards.
func randomSerial() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:])
	return 10_000_000 + binary.BigEndian.Uint32(b[:])%20_000_000
}

// Serial is the card's number. A card of another vendor has one, but never tells.
func (c *Card) Serial() uint32 { return c.cfg.Serial }

// Firmware is the version.
func (c *Card) Firmware() [3]byte { return c.cfg.Firmware }

// Reader is the reader name asked for in Config, or "".
func (c *Card) Reader() string { return c.cfg.Reader }

// OtherVendor reports whether this is a card that is no YubiKey.
func (c *Card) OtherVendor() bool { return c.cfg.OtherVendor }

// CAPEM is the root certificate, PEM, under which the card's attestations verify.
func (c *Card) CAPEM() []byte { return c.root }

// ATR is the answer to reset: a YubiKey 5's, or with Config.T0Only one that offers
// only T=0.
func (c *Card) ATR() []byte {
	if c.cfg.T0Only {
		// TS, T0 = eight historical bytes and no interface bytes (so T=0), "YubiKey4".
		return append([]byte{0x3B, 0x08}, "YubiKey4"...)
	}
	return []byte{
		0x3B, 0xFD, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x15, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57,
		0x59, 0x75, 0x62, 0x69, 0x4B, 0x65, 0x79, 0x40,
	}
}

// T0Only reports whether the card speaks only T=0.
func (c *Card) T0Only() bool { return c.cfg.T0Only }

func (c *Card) lacks(f Feature) bool { return c.cfg.Lacks&f != 0 }

// atLeast reports whether the firmware is major.minor or later.
func (c *Card) atLeast(major, minor byte) bool {
	v := c.cfg.Firmware
	return v[0] > major || v[0] == major && v[1] >= minor
}

// Transmit answers one command APDU: data and the two status bytes. Nil means that
// there was no answer; [Card.Exchange] tells why.
func (c *Card) Transmit(apdu []byte) []byte {
	answer, err := c.Exchange(apdu)
	if err != nil {
		return nil
	}
	return answer
}

// Exchange answers one command APDU, or says why there is no answer: ErrRemoved or
// ErrReset.
func (c *Card) Exchange(apdu []byte) ([]byte, error) {
	c.exchange.Lock()
	defer c.exchange.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.knobs.present {
		return nil, ErrRemoved
	}
	c.log.sent(apdu)
	if err := c.beforeCommand(); err != nil {
		c.log.note(err.Error())
		return nil, err
	}
	life, arrivals := c.life, c.arrivals
	answer := c.answer(apdu)
	if err := c.afterCommand(life, arrivals); err != nil {
		c.log.note(err.Error())
		return nil, err
	}
	c.log.answered(answer)
	return answer, nil
}

// unlocked runs f, which may take long, without holding the card's state, and
// reports whether the card stayed where it was.
func (c *Card) unlocked(f func()) bool {
	life := c.life
	c.mu.Unlock()
	f()
	c.mu.Lock()
	return c.life == life
}
