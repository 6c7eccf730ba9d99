package meta_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// notKeyIDs are attacks on whoever prints a key ID or makes a file name of it.
var notKeyIDs = map[string]string{
	"escape sequence": "\x1b[2J\x1b[H" + strings.Repeat("0", 57),
	"bidi":            "\u202e" + strings.Repeat("0", 61),
	"path":            "../../../../../../../../../../../../../../../../../../../etc/pass",
	"newline":         strings.Repeat("0", 63) + "\n",
	"upper case":      strings.Repeat("A", 64),
	"short":           strings.Repeat("0", 63),
	"none":            "",
}

// TestOnlyKeyIDsInDocuments: one such ID anywhere, and the document is refused, although
// all the signatures that it needs are there.
func TestOnlyKeyIDsInDocuments(t *testing.T) {
	t.Parallel()
	r, kr := repotest.New(t, true)
	p := repotest.Load(t, r)
	c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleTargets, Add: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.Sign(t, c.Docs()[0])
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	read := map[string]func() error{
		"repository/root.json":      func() error { _, err := r.LoadOnline(); return err },
		"repository/targets.json":   func() error { _, err := r.Load(); return err },
		"repository/snapshot.json":  func() error { _, err := r.LoadOnline(); return err },
		"repository/timestamp.json": func() error { _, err := r.LoadOnline(); return err },
		"pending/change.json":       func() error { _, err := r.Staged(p); return err },
	}
	for name, load := range read {
		file := filepath.Join(r.Dir(), name)
		honest, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, id := range notKeyIDs {
			for where, forged := range forgedIDs(t, honest, id) {
				if err := os.WriteFile(file, forged, 0o600); err != nil {
					t.Fatal(err)
				}
				var bad *tuf.KeyIDError
				if err := load(); !errors.As(err, &bad) || !errors.Is(err, meta.ErrMetadata) {
					t.Errorf("%s, %s, %s: error %v, want a KeyIDError", name, where, what, err)
				}
			}
		}
		if err := os.WriteFile(file, honest, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := load(); err != nil {
			t.Errorf("%s as it was: %v", name, err)
		}
	}
}

// forgedIDs puts a key ID into each place of a document that has room for one.
func forgedIDs(t *testing.T, honest []byte, id string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, where := range []string{"signatures", "keys", "roles"} {
		var doc map[string]any
		if err := json.Unmarshal(honest, &doc); err != nil {
			t.Fatal(err)
		}
		env := doc
		if staged, ok := doc["root"].(map[string]any); ok { // pending/change.json
			env = staged
		}
		signed := env["signed"].(map[string]any)
		switch where {
		case "signatures":
			env["signatures"] = append(env["signatures"].([]any), map[string]any{"keyid": id, "sig": "00"})
		case "keys":
			keys, ok := signed["keys"].(map[string]any)
			if !ok {
				continue
			}
			for _, k := range keys {
				keys[id] = k
				break
			}
		case "roles":
			roles, ok := signed["roles"].(map[string]any)
			if !ok {
				continue
			}
			role := roles["targets"].(map[string]any)
			role["keyids"] = append(role["keyids"].([]any), id)
		}
		forged, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		out[where] = forged
	}
	return out
}
