package watch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
)

const (
	stateSchema = 1
	maxState    = 64 << 20
	// maxSeen is how many versions of a role are remembered with their hashes.
	maxSeen = 256
)

// ErrOtherRepository: the state file is of another repository than the trusted root.
var ErrOtherRepository = errors.New("it is of another repository than the trusted root")

// StateError: the state file could not be read or written.
type StateError struct {
	File string
	Err  error
}

func (e *StateError) Error() string { return fmt.Sprintf("state file %q: %v", e.File, e.Err) }
func (e *StateError) Unwrap() error { return e.Err }

// memory is what a restart must not forget.
type memory struct {
	Schema int `json:"schema"`
	// Root is the SHA-256 of the trusted root.
	Root      string                    `json:"root"`
	Roles     map[string]*history       `json:"roles"`
	Addresses map[string]*addressMemory `json:"addresses"`
	Open      []*openFinding            `json:"open"`
	// Good is the last timestamp that is known to be ours.
	Good goodTimestamp `json:"good"`
}

// history is what was seen of a role at all addresses.
type history struct {
	// First is the version at the first poll: what was there before anybody watched.
	First int64 `json:"first"`
	// Highest is the highest version, and Since when it was first seen.
	Highest int64           `json:"highest"`
	Since   time.Time       `json:"since"`
	Seen    map[int64]sight `json:"seen"`
	// Validity is what was left of the highest version when it appeared, if somebody watched.
	Validity time.Duration `json:"validity,omitempty"`
}

// sight is the first time that a version was seen.
type sight struct {
	SHA256  string    `json:"sha256"`
	Address string    `json:"address"`
	At      time.Time `json:"at"`
}

// addressMemory is what was seen at one address.
type addressMemory struct {
	Highest map[string]int64   `json:"highest"`
	Content map[string]checked `json:"content,omitempty"`
	Next    int                `json:"next,omitempty"` // whose turn it is to be asked for
}

// checked is a target that was read and was what metadata names.
type checked struct {
	Mark string `json:"mark"` // short hash of content and of the server's mark
	At   int64  `json:"at"`   // Unix time of reading
}

type openFinding struct {
	Finding
	Told bool `json:"told"`
}

type goodTimestamp struct {
	Version  int64     `json:"version"`
	Snapshot int64     `json:"snapshot"`
	At       time.Time `json:"at"`
}

func newMemory(root []byte) *memory {
	sum := sha256.Sum256(root)
	return &memory{Schema: stateSchema, Root: hex.EncodeToString(sum[:]), Roles: map[string]*history{}, Addresses: map[string]*addressMemory{}}
}

func (m *memory) role(name string) *history {
	if m.Roles[name] == nil {
		m.Roles[name] = &history{Seen: map[int64]sight{}}
	}
	return m.Roles[name]
}

func (m *memory) address(name string) *addressMemory {
	if m.Addresses[name] == nil {
		m.Addresses[name] = &addressMemory{Highest: map[string]int64{}, Content: map[string]checked{}}
	}
	return m.Addresses[name]
}

// note remembers a version that enough keys signed.
func (h *history) note(version int64, s sight, left time.Duration) {
	if _, ok := h.Seen[version]; !ok {
		h.Seen[version] = s
	}
	if h.First == 0 {
		h.First = version
	}
	if version > h.Highest {
		if h.Highest > 0 {
			h.Validity = left
		}
		h.Highest, h.Since = version, s.At
	}
	for len(h.Seen) > maxSeen {
		delete(h.Seen, slices.Min(slices.Collect(maps.Keys(h.Seen))))
	}
}

// StateFileFor is where the watch of these addresses remembers, in a folder of state.
func StateFileFor(folder string, root []byte, addresses []Address) string {
	h := sha256.New()
	h.Write(root)
	for _, a := range addresses {
		fmt.Fprintf(h, "\n%s", a.Name)
	}
	return filepath.Join(folder, "watch-"+hex.EncodeToString(h.Sum(nil)[:8])+".json")
}

// recall reads the state file, if there is one.
func (s *Service) recall() error {
	s.mem = newMemory(s.cfg.Root)
	if s.cfg.StateFile == "" {
		return nil
	}
	data, err := readBounded(s.cfg.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		s.mem, err = parseState(data, s.mem.Root)
	}
	if err != nil {
		return &StateError{s.cfg.StateFile, err}
	}
	s.saved = sha256.Sum256(data)
	return nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err == nil && len(data) > maxState {
		err = fmt.Errorf("longer than %d bytes", maxState)
	}
	return data, err
}

func parseState(data []byte, root string) (*memory, error) {
	m := &memory{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("not a state file: %w", err)
	}
	if m.Schema != stateSchema {
		return nil, fmt.Errorf("its schema is %d, not %d", m.Schema, stateSchema)
	}
	if m.Root != root {
		return nil, ErrOtherRepository
	}
	return m, m.complete()
}

// complete makes the parts that JSON may leave out, and refuses those that cannot be.
func (m *memory) complete() error {
	if m.Roles == nil {
		m.Roles = map[string]*history{}
	}
	if m.Addresses == nil {
		m.Addresses = map[string]*addressMemory{}
	}
	for name, h := range m.Roles {
		if h == nil {
			return fmt.Errorf("not a state file: role %q is null", name)
		}
		if h.Seen == nil {
			h.Seen = map[int64]sight{}
		}
	}
	for name, a := range m.Addresses {
		if a == nil {
			return fmt.Errorf("not a state file: address %q is null", name)
		}
		if a.Highest == nil {
			a.Highest = map[string]int64{}
		}
		if a.Content == nil {
			a.Content = map[string]checked{}
		}
	}
	if slices.Contains(m.Open, nil) {
		return errors.New("not a state file: a finding is null")
	}
	return nil
}

// save writes the state file if something has changed.
func (s *Service) save() error {
	if s.cfg.StateFile == "" {
		return nil
	}
	data, err := json.Marshal(s.mem)
	if err != nil {
		return &StateError{s.cfg.StateFile, err}
	}
	sum := sha256.Sum256(data)
	if sum == s.saved {
		return nil
	}
	if err := atomicfile.Write(s.cfg.StateFile, data, 0o600); err != nil {
		return &StateError{s.cfg.StateFile, err}
	}
	s.saved = sum
	return nil
}
