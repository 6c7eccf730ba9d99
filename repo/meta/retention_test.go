package meta_test

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	order := []string{"0.9", "1.0-rc1", "1.0-rc2", "1.0", "1.0.1", "1.0.2", "1.0.10", "1.1.10.9", "1.1.10.81462", "1.2", "2", "10"}
	for i, a := range order {
		for j, b := range order {
			if got := meta.CompareVersions(a, b); got != min(1, max(-1, i-j)) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
}
