package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// ledgerKeep bounds the ledger; a store is never that far behind.
const ledgerKeep = 500

// ledger remembers which snapshots this repository has published or pulled. In the
// flat layout nothing else tells whether the store's older version is the one that
// this repository was built on, or a colleague's that would be lost.
type ledger struct {
	path string
	data ledgerFile
}

type ledgerFile struct {
	Schema    int           `json:"schema"`
	Snapshots []ledgerEntry `json:"snapshots"`
}

type ledgerEntry struct {
	Version int64             `json:"version"`
	Hashes  map[string]string `json:"hashes"`
}

// openLedger reads the file; an absent one is empty, path "" keeps nothing.
func openLedger(path string) (*ledger, error) {
	l := &ledger{path: path, data: ledgerFile{Schema: 1}}
	if path == "" {
		return l, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if err := schema.Check(path, "schema", data, 1); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &l.data); err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return l, nil
}

func (l *ledger) empty() bool { return len(l.data.Snapshots) == 0 }

// knows reports whether the snapshot that m names is in the ledger.
func (l *ledger) knows(m tuf.FileMeta) bool {
	for _, e := range l.data.Snapshots {
		if e.Version != m.Version {
			continue
		}
		for alg, h := range m.Hashes {
			if h != "" && e.Hashes[alg] == h {
				return true
			}
		}
	}
	return false
}

// record adds a snapshot, before it is published: after a crash it may be either.
func (l *ledger) record(version int64, snapshot []byte) error {
	e := ledgerEntry{Version: version, Hashes: tuf.HashesOf(snapshot)}
	if l.path == "" || l.knows(tuf.FileMeta{Version: version, Hashes: e.Hashes}) {
		return nil
	}
	l.data.Snapshots = append(l.data.Snapshots, e)
	if n := len(l.data.Snapshots) - ledgerKeep; n > 0 {
		l.data.Snapshots = l.data.Snapshots[n:]
	}
	data, err := json.MarshalIndent(l.data, "", "\t")
	if err != nil {
		return err
	}
	return atomicfile.Write(l.path, append(data, '\n'), 0o644)
}
