package orbit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/client"
)

// fileStore is the agent's local store: one JSON object, metadata by file name.
//
// Two habits of orbit's store are kept because they show in what agents do. Encoding
// compacts the metadata it was given, so a restarted agent holds other bytes than the
// server unless those were compact. And the file is written over without being cut
// first: after a deletion an old tail follows the object, which the reader ignores.
type fileStore struct {
	path string
	meta map[string]json.RawMessage
}

var _ client.LocalStore = (*fileStore)(nil)

func openFileStore(path string) (*fileStore, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the agent's folder: %w", err)
	}
	s := &fileStore{path: path, meta: map[string]json.RawMessage{}}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening local store: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("local store %q is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening local store: %w", err)
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&s.meta); err != nil {
		return nil, fmt.Errorf("reading local store %q: %w", path, err)
	}
	return s, nil
}

func (s *fileStore) GetMeta() (map[string]json.RawMessage, error) { return s.meta, nil }

func (s *fileStore) SetMeta(name string, meta json.RawMessage) error {
	s.meta[name] = meta
	return s.write()
}

func (s *fileStore) DeleteMeta(name string) error {
	delete(s.meta, name)
	return s.write()
}

func (s *fileStore) Close() error { return nil }

func (s *fileStore) write() error {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening local store: %w", err)
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(s.meta); err != nil {
		return fmt.Errorf("writing local store: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing local store: %w", err)
	}
	return nil
}
