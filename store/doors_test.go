package store

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf/tuftest"
)

// TestReadsWhatAllRead: what is taken and refused here is what repo and online take and
// refuse.
func TestReadsWhatAllRead(t *testing.T) {
	t.Parallel()
	for _, c := range tuftest.Cases(t) {
		if _, err := parseMetadata(c.Data, c.Role); (err == nil) != c.OK {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
