package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// fileStore keeps metadata by file name in one JSON file.
type fileStore struct {
	path string
	meta map[string]json.RawMessage
}

func openFileStore(path string) (*fileStore, error) {
	s := &fileStore{path: path, meta: map[string]json.RawMessage{}}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(content, &s.meta)
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
	content, err := json.Marshal(s.meta)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path, content, 0o600)
}
