package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestPullStopsAtTheFirstForgedRoot: a store without root's keys serves two thousand
// roots; one is read.
func TestPullStopsAtTheFirstForgedRoot(t *testing.T) {
	r := repotest.New(t, true)
	s := openTest(t, "file://"+r.Dir, OpenOptions{})
	genuine := string(r.Read("1.root.json"))
	for v := 2; v <= 2000; v++ {
		r.Write(fmt.Sprintf("%d.root.json", v), []byte(strings.Replace(genuine, `"version":1}`, fmt.Sprintf(`"version":%d}`, v), 1)))
	}
	asked := 0
	follows := func(before, after []byte) error {
		asked++
		if string(after) != genuine {
			return errors.New("not signed by root's keys")
		}
		return nil
	}
	dir := t.TempDir()
	_, err := Pull(t.Context(), s, PullOptions{Dir: dir, Root: []byte(genuine), Follows: follows})
	if !errors.Is(err, ErrInconsistent) || asked != 2 {
		t.Errorf("%v after %d roots", err, asked)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v was written", left, err)
	}
}
