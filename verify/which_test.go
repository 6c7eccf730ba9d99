package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// TestWhich: a file is the targets whose bytes it has, whatever hashes they are named by;
// another of the same length, and all of metadata that does not verify, is none.
func TestWhich(t *testing.T) {
	metadataOnly := func(o *verify.Options) { o.MetadataOnly = true }
	for name, build := range good() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := build(t)
			m.write()
			r := m.run(t, metadataOnly)
			for target, content := range m.files {
				found, err := r.Which(strings.NewReader(content))
				if err != nil || !slices.Contains(found, target) {
					t.Errorf("%s: %v, %v", target, found, err)
				}
				other := "X" + content[1:]
				if found, err := r.Which(strings.NewReader(other)); err != nil || len(found) != 0 {
					t.Errorf("other bytes: %v, %v", found, err)
				}
			}
		})
	}
	m := newMaker(t, false)
	m.write()
	m.change("targets.json", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"sig":"`, `"sig":"00`, 1)) })
	r := m.run(t, metadataOnly)
	for _, content := range m.files {
		if found, _ := r.Which(strings.NewReader(content)); r.OK() || len(found) != 0 {
			t.Errorf("metadata that does not verify names %v", found)
		}
	}
}
