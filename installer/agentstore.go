package installer

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Names of the agent's store: orbit 1.38 and later, and before.
const (
	storeName    = "updates-metadata.json"
	oldStoreName = "tuf-metadata.json"
)

// storedRoles are what a client holds after its first update, by file name.
func storedRoles() []string { return []string{"root", "snapshot", "targets", "timestamp"} }

// Store writes metadata, by role, as the agent's own store does: one JSON object, file
// name to metadata, compact, with the line end of an encoder.
func Store(documents map[string][]byte) ([]byte, error) {
	held := map[string]json.RawMessage{}
	for _, role := range storedRoles() {
		data, ok := documents[role]
		if !ok {
			return nil, fmt.Errorf("no verified metadata of %s", role)
		}
		held[role+".json"] = data
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(held); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
