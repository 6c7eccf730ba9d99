package online

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// maxState bounds the state file: ten thousand roots and a pending timestamp.
const maxState = 1 << 20

// recall reads the state file, if there is one, and joins it with what this process knows.
func (s *Service) recall() error {
	if s.cfg.StateFile == "" {
		return nil
	}
	m, err := readState(s.cfg.StateFile)
	if err != nil {
		return &StateError{File: s.cfg.StateFile, Err: err}
	}
	if m == nil {
		return nil
	}
	pinned := s.chain[0]
	if m.Roots[pinned.Version] != sumOf(pinned.data) {
		return &StateError{File: s.cfg.StateFile, Err: ErrOtherRepository}
	}
	if m.Accepted > s.mem.Accepted {
		s.last, s.snap = nil, nil
	}
	s.mem.join(m)
	return nil
}

// save writes the memory if it has changed since it was written last. Without it nothing
// is signed: a signer that cannot remember could be led back.
func (s *Service) save() error {
	if s.dryRun || s.cfg.StateFile == "" || s.saved != nil && s.saved.equal(s.mem) {
		return nil
	}
	if err := s.writeState(); err != nil {
		return &StateError{File: s.cfg.StateFile, Err: err}
	}
	s.saved = s.mem.clone()
	return nil
}

func (s *Service) writeState() error {
	lock, err := os.OpenFile(s.cfg.StateFile+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	// Whoever holds it writes one small file.
	if err := osfile.Lock(context.Background(), lock); err != nil {
		return err
	}
	other, err := readState(s.cfg.StateFile)
	if err != nil {
		return err
	}
	if other != nil {
		s.mem.join(other)
	}
	data, err := json.MarshalIndent(s.mem, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(s.cfg.StateFile, append(data, '\n'), 0o600)
}

var hexSum = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

// readState reads a state file, nil if there is none.
func readState(path string) (*memory, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	return parseState(data)
}

func parseState(data []byte) (*memory, error) {
	if len(data) > maxState {
		return nil, fmt.Errorf("longer than %d bytes", maxState)
	}
	if err := schema.Check("the signer's state", "schema", data, memorySchema); err != nil {
		return nil, err
	}
	m := newMemory()
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("not a state file: %w", err)
	}
	if m.Schema != memorySchema {
		return nil, fmt.Errorf("its schema is %d, not %d", m.Schema, memorySchema)
	}
	if m.empty() {
		return nil, errors.New("not a state file: it names no root")
	}
	for v, sum := range m.Roots {
		if v < 1 || !hexSum().MatchString(sum) {
			return nil, errors.New("not a state file: root without version or SHA-256")
		}
	}
	for _, e := range []seen{m.Targets, m.Snapshot, m.Timestamp, m.Signed.seen, {m.Floor, m.Roots[m.root()]}} {
		if e.Version < 0 || e.Version > tuf.MaxVersion || e.Version > 0 && !hexSum().MatchString(e.SHA256) {
			return nil, errors.New("not a state file: a version or SHA-256 that cannot be")
		}
	}
	if r := m.Reserved; r.Version < 0 || r.Version > tuf.MaxVersion {
		return nil, errors.New("not a state file: a reserved version that cannot be")
	}
	return m, nil
}
