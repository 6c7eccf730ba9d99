package card

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
)

// Factory secrets of every YubiKey.
const (
	factoryPIN = "123456"
	factoryPUK = "12345678"
)

func factoryManagementKey() []byte {
	return []byte{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}
}

// state is what a card keeps without power; card.json is its JSON form.
type state struct {
	Serial          uint32
	Firmware        [3]byte
	FormFactor      byte
	OtherVendor     bool
	Lacks           Feature
	Quirks          Quirk
	FactoryPINTries int
	FactoryPUKTries int
	Root            []byte // authority of the attestation certificate, PEM

	PIN, PUK   secret
	Management managementKey
	Slots      map[string]*slot  // by slot number, two hex digits
	Objects    map[string][]byte // by tag, hex
}

// factoryReset empties the card but for what attests it.
func (c *Card) factoryReset() {
	st := &c.state
	st.PIN = factorySecret(factoryPIN, st.FactoryPINTries)
	st.PUK = factorySecret(factoryPUK, st.FactoryPUKTries)
	st.Management = managementKey{Type: mgm3DES, Key: factoryManagementKey()}
	if c.atLeast(5, 7) && !c.lacks(AESManagement) {
		st.Management.Type = mgmAES192
	}
	slots, objects := map[string]*slot{}, map[string][]byte{}
	if f9 := c.slotOf(slotAttestation); f9 != nil {
		slots[slotName(slotAttestation)] = f9
		objects[objectAttestation] = st.Objects[objectAttestation]
	}
	st.Slots, st.Objects = slots, objects
}

// loadState reads Dir/card.json; nil without an error if there is none.
func loadState(dir string) (*state, error) {
	if dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var st state
	if err := json.Unmarshal(b, &st); err != nil {
		return nil, fmt.Errorf("reading card state %q: %w", statePath(dir), err)
	}
	if st.Objects == nil {
		st.Objects = map[string][]byte{}
	}
	for name, s := range st.Slots {
		if err := s.parse(); err != nil {
			return nil, fmt.Errorf("key of slot %s in %q: %w", name, statePath(dir), err)
		}
	}
	return &st, nil
}

func statePath(dir string) string { return filepath.Join(dir, "card.json") }

// save writes the state, if it is kept.
func (c *Card) save() error {
	if c.cfg.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(statePath(c.cfg.Dir), append(b, '\n'), 0o600)
}

// saved writes the state and passes the status on; a state that cannot be written
// is a memory failure, as it would be on a card.
func (c *Card) saved(status uint16) uint16 {
	if err := c.save(); err != nil {
		c.log.note(err.Error())
		return swMemory
	}
	return status
}
