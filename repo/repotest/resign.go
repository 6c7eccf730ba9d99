package repotest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// Resign gives metadata with its signed part edited, signed by exactly the keys ids.
func (kr Keyring) Resign(t testing.TB, raw json.RawMessage, edit func(signed map[string]any), ids ...tuf.KeyID) json.RawMessage {
	t.Helper()
	var env struct {
		Signed map[string]any `json:"signed"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&env); err != nil {
		t.Fatal(err)
	}
	edit(env.Signed)
	payload, err := cjson.EncodeCanonical(env.Signed)
	if err != nil {
		t.Fatal(err)
	}
	sigs := []map[string]string{}
	for _, id := range ids {
		sig, err := wiresig.Sign(kr[id], payload)
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, map[string]string{"keyid": id.String(), "sig": hex.EncodeToString(sig)})
	}
	out, err := json.Marshal(map[string]any{"signatures": sigs, "signed": env.Signed})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Same edits nothing.
func Same(map[string]any) {}

// SetTo edits one field.
func SetTo(field string, value any) func(map[string]any) {
	return func(signed map[string]any) { signed[field] = value }
}
