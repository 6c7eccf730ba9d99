//go:build cgo || windows

package piv

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// What a card leaves the factory with.
const (
	factoryPIN = "123456"
	factoryPUK = "12345678"
)

func factoryKey() []byte {
	return bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 3)
}

// Kinds of management key, as the card numbers them (SP 800-78-4, table 6-2).
const (
	kind3DES   = 0x03
	kindAES128 = 0x08
	kindAES192 = 0x0A
	kindAES256 = 0x0C
)

func kindName(kind byte) string {
	switch kind {
	case kind3DES:
		return "3DES"
	case kindAES128:
		return "AES-128"
	case kindAES192:
		return "AES-192"
	case kindAES256:
		return "AES-256"
	}
	return "unknown"
}

// keyLength is in bytes, 0 for an unknown kind.
func keyLength(kind byte) int {
	switch kind {
	case kind3DES, kindAES192:
		return 24
	case kindAES128:
		return 16
	case kindAES256:
		return 32
	}
	return 0
}

// managementInfo is what a card says of its management key, without any secret.
type managementInfo struct {
	kind    byte // 0 if the card does not tell
	touch   bool // it wants a touch
	told    bool // factory was told
	factory bool
}

// managementInfo asks with GET METADATA; a card that lacks it tells nothing.
func (d *direct) managementInfo() (managementInfo, error) {
	var m managementInfo
	list, err := d.metadataOf(refManagement)
	if err != nil || list == nil {
		return m, err
	}
	if v := list[1]; len(v) == 1 && keyLength(v[0]) > 0 {
		m.kind = v[0]
	}
	if v := list[2]; len(v) == 2 {
		m.touch = v[1] > 1
	}
	if v := list[5]; len(v) == 1 {
		m.told, m.factory = true, v[0] == 1
	}
	return m, nil
}

// metadataOf is GET METADATA, element by element; nil where the card does not have it.
func (d *direct) metadataOf(ref byte) (map[uint16][]byte, error) {
	answer, err := d.transmit(insGetMetadata, 0, ref, nil)
	if err != nil {
		return nil, d.fatal(err)
	}
	list, err := elements(answer)
	if err != nil {
		return nil, nil //nolint:nilerr // a card that answers nonsense tells nothing
	}
	return list, nil
}

// secretInfo is what a card says of its PIN or PUK.
type secretInfo struct {
	told      bool // factory was told
	factory   bool
	max, left int // -1 if the card does not tell
}

func (d *direct) secretInfo(ref byte) (secretInfo, error) {
	i := secretInfo{max: -1, left: -1}
	list, err := d.metadataOf(ref)
	if err != nil || list == nil {
		return i, err
	}
	if v := list[5]; len(v) == 1 {
		i.told, i.factory = true, v[0] == 1
	}
	if v := list[6]; len(v) == 2 {
		i.max, i.left = int(v[0]), int(v[1])
	}
	return i, nil
}

// hasFactoryKey reports whether the management key is the factory's. What a YubiKey says
// of that is believed, and what any card says whose key wants a touch for the proof;
// otherwise the factory's key is tried, which costs nothing.
func (d *direct) hasFactoryKey(c card) (bool, error) {
	m, err := d.managementInfo()
	if err != nil {
		return false, err
	}
	if m.told && (c.yubikey || m.touch) {
		return m.factory, nil
	}
	return d.authenticate(factoryKey())
}

// authenticate proves a management key to the card, of the kind that the card reports or
// of every kind that fits the key, and reports whether it is the card's. A wrong one
// costs nothing. What it opens stays open until the card is let go or forgets the PIN.
func (d *direct) authenticate(key []byte) (bool, error) {
	m, err := d.managementInfo()
	if err != nil {
		return false, err
	}
	for _, kind := range []byte{kind3DES, kindAES192, kindAES128, kindAES256} {
		if keyLength(kind) != len(key) || m.kind != 0 && m.kind != kind {
			continue
		}
		if ok, err := d.prove(kind, key, m.touch); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// prove is mutual authentication (SP 800-73-4, part 2, section 3.2.4): the card shows
// that it has the key too.
func (d *direct) prove(kind byte, key []byte, touch bool) (bool, error) {
	block, err := cipherOf(kind, key)
	if err != nil {
		return false, err
	}
	n := block.BlockSize()
	answer, err := d.transmit(insAuthenticate, kind, refManagement, tlv(0x7C, tlv(0x80)...))
	if err != nil {
		return false, d.fatal(err) // another kind
	}
	witness, err := authenticationItem(answer, 0x80)
	if err != nil || len(witness) != n {
		return false, &causeError{cause: signer.ErrDevice, err: errors.Join(errors.New("no witness for the management key"), err)}
	}
	block.Decrypt(witness, witness)
	challenge, want := make([]byte, n), make([]byte, n)
	if _, err := rand.Read(challenge); err != nil {
		return false, err
	}
	block.Encrypt(want, challenge)
	if touch {
		d.touch()
	}
	if err := d.ctxErr(); err != nil {
		return false, err
	}
	started := time.Now()
	answer, err = d.transmit(insAuthenticate, kind, refManagement, tlv(0x7C, append(tlv(0x80, witness...), tlv(0x81, challenge...)...)...))
	if err != nil {
		if took := time.Since(started); touch && status(err) == statusNotSatisfied && took >= time.Second {
			// A wrong key is refused at once.
			return false, &causeError{cause: signer.ErrTouchTimeout, err: fmt.Errorf("nobody touched it for its management key within %d s (%w)", int(took.Round(time.Second).Seconds()), err)}
		}
		return false, d.fatal(err)
	}
	have, err := authenticationItem(answer, 0x82)
	if err != nil || subtle.ConstantTimeCompare(have, want) != 1 {
		return false, &causeError{cause: signer.ErrDevice, err: errors.Join(errors.New("the card took the management key and does not have it"), err)}
	}
	return true, nil
}

func cipherOf(kind byte, key []byte) (cipher.Block, error) {
	if kind == kind3DES {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

// authenticationItem reads one item of an answer to GENERAL AUTHENTICATE.
func authenticationItem(answer []byte, tag uint16) ([]byte, error) {
	list, err := inside(0x7C, answer)
	if err != nil {
		return nil, err
	}
	return inside(tag, list)
}

// setManagementKey makes a key the card's; the present one was proven before.
func (d *direct) setManagementKey(kind byte, key []byte) error {
	_, err := d.transmit(insSetManagement, 0xFF, 0xFF, append([]byte{kind, refManagement, byte(len(key))}, key...))
	return err
}

// newKinds are the kinds to try for a new management key: AES-192 on YubiKeys that have
// it, and the kind of the present one.
func newKinds(c card, m managementInfo) []byte {
	present := m.kind
	if present == 0 {
		present = kind3DES
	}
	if c.yubikey && !c.before(5, 4, 0) && present != kindAES192 {
		return []byte{kindAES192, present}
	}
	return []byte{present}
}

// The object in which piv-go and ykman keep the management key, readable with the PIN
// (on other cards: printed information): 88 { 89 key }.
const tagProtected = 0xC109

// protected reads that object, after the PIN was verified. The key is nil if none is
// stored.
func (d *direct) protected() (object, key []byte, err error) {
	answer, err := d.getData(tagProtected)
	switch {
	case status(err) == statusNoObject:
		return nil, nil, nil
	case err != nil:
		return nil, nil, classify(err)
	case len(answer) == 0:
		return nil, nil, nil
	}
	if object, err = inside(0x88, answer); err != nil {
		return nil, nil, &causeError{cause: signer.ErrDevice, err: fmt.Errorf("the object for the management key (5FC109) holds something else: %w", err)}
	}
	list, err := elements(object)
	if err != nil {
		return nil, nil, &causeError{cause: signer.ErrDevice, err: fmt.Errorf("the object for the management key (5FC109): %w", err)}
	}
	switch key := list[0x89]; len(key) {
	case 16, 24, 32:
		return object, key, nil
	}
	return object, nil, nil
}

// store puts a management key into that object and leaves the rest of it as it is.
func (d *direct) store(object, key []byte) error {
	list, err := elements(object)
	if err != nil {
		return err
	}
	delete(list, 0x89)
	var inner []byte
	for _, tag := range slices.Sorted(maps.Keys(list)) { // ykman's flags, salt and time
		inner = append(inner, tlv(tag, list[tag]...)...)
	}
	return d.putData(tagProtected, tlv(0x88, append(inner, tlv(0x89, key...)...)...))
}

// storedKey is the management key that is stored under the PIN, which was verified; nil
// if there is none.
func (d *direct) storedKey() ([]byte, error) {
	_, key, err := d.protected()
	return key, err
}

// getData reads an object (5Fxxxx).
func (d *direct) getData(tag uint16) ([]byte, error) {
	answer, err := d.transmit(insGetData, 0x3F, 0xFF, tlv(0x5C, 0x5F, byte(tag>>8), byte(tag)))
	if err != nil {
		return nil, err
	}
	return inside(0x53, answer)
}

// putData writes one, after the management key was proven.
func (d *direct) putData(tag uint16, value []byte) error {
	_, err := d.transmit(insPutData, 0x3F, 0xFF, append(tlv(0x5C, 0x5F, byte(tag>>8), byte(tag)), tlv(0x53, value...)...))
	return err
}

// askManagementKey asks for a management key in hexadecimal digits.
func askManagementKey(ctx context.Context, ui signer.UI, w *work) ([]byte, error) {
	r := signer.SecretRequest{Kind: signer.ManagementKey, URI: w.want.ref.URI, Device: w.state.card.String(), TriesLeft: -1, Min: 32, Max: 64}
	if ui == nil {
		return nil, &signer.NoSecretError{Kind: r.Kind, Device: r.Device}
	}
	secret, err := ui.Secret(ctx, r)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(secret.Unwrap()))
	if n := len(key); err != nil || n != 16 && n != 24 && n != 32 {
		return nil, &causeError{cause: signer.ErrManagement, err: errors.New("what was given is not 32, 48 or 64 hexadecimal digits; it was not tried")}
	}
	return key, canceled(ctx)
}

// state says what a card tells of the secrets of whoever has set it up.
func (d *direct) state() ([]string, error) {
	var known []string
	for _, one := range []struct {
		ref  byte
		name string
	}{{refPIN, "PIN"}, {refPUK, "PUK"}} {
		i, err := d.secretInfo(one.ref)
		if err != nil {
			return nil, err
		}
		text := "its " + one.name + " is "
		switch {
		case !i.told:
			text += "not told"
		case i.factory:
			text += "the factory's"
		default:
			text += "its own"
		}
		if i.left >= 0 {
			text += fmt.Sprintf(" (%d of %d tries left)", i.left, i.max)
		}
		known = append(known, text)
	}
	m, err := d.managementInfo()
	if err != nil {
		return nil, err
	}
	if m.kind != 0 {
		known = append(known, "the management key is of kind "+kindName(m.kind))
	}
	return known, nil
}

// described is what is known of a card that somebody has set up, and what is not.
func described(state, used []string) string {
	keys := "no slot is in use, as far as the card tells"
	if len(used) > 0 {
		keys = "there are keys in slots " + strings.Join(used, ", ")
	}
	return strings.Join(append(state, keys), "; ") + "; whether the management key is stored on the card, only the PIN shows"
}
