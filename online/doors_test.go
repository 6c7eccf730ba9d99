package online

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf/tuftest"
)

// TestReadsWhatAllRead: what is taken and refused here is what repo and store take and
// refuse.
func TestReadsWhatAllRead(t *testing.T) {
	t.Parallel()
	for _, c := range tuftest.Cases(t) {
		var err error
		if c.Role == roleRoot {
			_, err = parseRoot(c.Data)
		} else {
			_, err = parse(c.Data, c.Role)
		}
		if (err == nil) != c.OK {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
