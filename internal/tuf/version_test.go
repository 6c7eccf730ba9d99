package tuf

import (
	"errors"
	"math"
	"testing"
)

func TestNextVersion(t *testing.T) {
	for _, c := range []struct {
		known []int64
		want  int64
	}{
		{nil, 1}, {[]int64{0}, 1}, {[]int64{3, 7, 5}, 8}, {[]int64{MaxVersion - 1}, MaxVersion},
		{[]int64{MaxVersion}, 0}, {[]int64{1, math.MaxInt64}, 0},
	} {
		got, err := NextVersion("timestamp", c.known...)
		var e *VersionError
		if got != c.want || errors.As(err, &e) != (c.want == 0) {
			t.Errorf("above %v: %d, %v", c.known, got, err)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for _, c := range []struct {
		known, got int64
		ok         bool
	}{
		{0, 1, true}, {0, 0, false}, {0, -1, false}, {0, MaxVersion, true}, {0, MaxVersion + 1, false}, {0, math.MaxInt64, false},
		{5, 5, true}, {5, 4, true}, {5, 5 + MaxJump, true}, {5, 6 + MaxJump, false}, {MaxVersion, 1, true},
	} {
		if err := CheckVersion("timestamp", c.known, c.got); (err == nil) != c.ok {
			t.Errorf("%d after %d: %v", c.got, c.known, err)
		}
	}
}
