package store

import (
	"encoding/json"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// FuzzMetadata: whatever a store sends as metadata is taken or refused, never more; what
// it names is read within limits.
func FuzzMetadata(f *testing.F) {
	r := repotest.New(f, true)
	for _, role := range repotest.Roles {
		f.Add(r.Read(role+".json"), role)
	}
	f.Add([]byte(`{"signed":{"_type":"snapshot","version":1,"meta":{"../x.json":{"version":-1,"length":9223372036854775807}}}}`), "snapshot")
	f.Fuzz(func(t *testing.T, data []byte, role string) {
		m, err := parseMetadata(data, role)
		if err != nil {
			return
		}
		if m.Version < 1 || !json.Valid(data) {
			t.Errorf("taken: %q", data)
		}
		for name, meta := range m.Meta {
			if l := maxSize(meta); l < 1 || l > tuf.MaxTargets {
				t.Errorf("%q: a limit of %d", name, l)
			}
			_ = meta.Fits(data)
			_ = checkName(publishedName(m.Consistent, name, meta.Version))
		}
		for name, meta := range m.Targets {
			for _, n := range targetNames(m.Consistent, name, meta) {
				_ = checkName(n)
			}
		}
	})
}
