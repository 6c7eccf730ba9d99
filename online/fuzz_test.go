package online

import (
	"encoding/json"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// FuzzParse: whatever a store sends as metadata is taken or refused, never more; what is
// taken has a version, an expiry and a canonical form that is canonical.
func FuzzParse(f *testing.F) {
	r := repotest.New(f, true)
	for _, role := range repotest.Roles {
		f.Add(r.Read(role+".json"), role)
	}
	f.Add([]byte(`{"signed":{"_type":"timestamp","version":9223372036854775807,"expires":"2030-01-01T00:00:00Z"},"signatures":[]}`), "timestamp")
	trusted, err := parseRoot(r.Read("root.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, role string) {
		file, err := parse(data, role)
		if err != nil {
			return
		}
		if file.Version < 1 || file.Expires.IsZero() || file.Type != role || !json.Valid(data) {
			t.Errorf("taken: %q", data)
		}
		for _, m := range file.Meta {
			_ = m.Fits(data)
		}
		if rk, ok := trusted.roles[role]; ok {
			_ = rk.verify(file)
		}
		if role == roleRoot {
			_, _ = parseRoot(data)
		}
	})
}

// FuzzState: a state file is whole, or refused.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"schema":1,"roots":{"1":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"floor":3}`))
	f.Add([]byte(`{"schema":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseState(data)
		if err != nil {
			return
		}
		if m.root() < 1 || m.Timestamp.Version < 0 || m.Floor < 0 {
			t.Errorf("taken: %s", data)
		}
		if again := m.clone(); !again.equal(m) {
			t.Error("a copy differs")
		}
	})
}
