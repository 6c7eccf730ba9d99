package bounded_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/bounded"
)

func TestOutput(t *testing.T) {
	full := 0
	o := bounded.New(4, func() { full++ })
	for _, step := range []struct {
		write string
		err   error
		kept  string
		full  int
	}{{"ab", nil, "ab", 0}, {"cde", bounded.ErrFull, "ab", 1}, {"cd", nil, "abcd", 1}, {"e", bounded.ErrFull, "abcd", 2}} {
		n, err := o.Write([]byte(step.write))
		if !errors.Is(err, step.err) || (err == nil) != (n == len(step.write)) || string(o.Bytes()) != step.kept || full != step.full {
			t.Errorf("%q: %d, %v, kept %q, full %d times", step.write, n, err, o.Bytes(), full)
		}
	}
}
