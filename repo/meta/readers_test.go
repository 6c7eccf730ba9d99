package meta

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf/tuftest"
)

// TestReadsWhatAllRead: what is taken and refused here is what online and store take
// and refuse.
func TestReadsWhatAllRead(t *testing.T) {
	t.Parallel()
	for _, c := range tuftest.Cases(t) {
		env, err := ParseEnvelope(c.Data)
		if err == nil && c.Role == RoleRoot {
			_, err = ParseRoot(env.Text())
		} else if err == nil {
			_, err = ParseListing(c.Role, env.Text())
		}
		if (err == nil) != c.OK {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
