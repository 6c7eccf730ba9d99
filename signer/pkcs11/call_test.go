//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Calls that end at the very time of their deadline and of their context: each caller
// gets one answer, and the right one, and nothing is left when all of them are back.
func TestCallEndsOnce(t *testing.T) {
	const limit = 10 * time.Millisecond
	goroutines := runtime.NumGoroutine()
	var late, left, back int
	var mu sync.Mutex
	var wg sync.WaitGroup
	var modules [8]module
	for i := range modules {
		m := &modules[i]
		wg.Go(func() {
			for range 60 {
				// A module with a late call refuses the next at once, which is another test's.
				for m.stuck.Load() > 0 {
					time.Sleep(time.Millisecond)
				}
				mine, theirs := limit/2+rand.N(limit), limit/2+rand.N(limit)
				ctx, cancel := context.WithCancel(t.Context())
				end := time.AfterFunc(theirs, cancel)
				result := 0
				err := m.run(ctx, "signing", limit, false, func() error {
					time.Sleep(mine)
					result = 42
					return nil
				})
				mu.Lock()
				switch {
				case err == nil && result == 42:
					back++
				case errors.Is(err, signer.ErrDeadline):
					late++
				case errors.Is(err, signer.ErrCanceled):
					left++
				default:
					t.Errorf("a call ended with error %v", err)
				}
				mu.Unlock()
				end.Stop()
				cancel()
			}
		})
	}
	wg.Wait()
	t.Logf("%d back in time, %d left at the deadline, %d left for their context", back, late, left)
	if back == 0 || late == 0 || left == 0 {
		t.Error("not every way of ending was seen")
	}
	stuck := func() (n int32) {
		for i := range modules {
			n += modules[i].stuck.Load()
		}
		return n
	}
	for end := time.Now().Add(10 * time.Second); stuck() > 0 || runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left over: %d stuck calls, %d goroutines (%d before)", stuck(), runtime.NumGoroutine(), goroutines)
		}
	}
}

// A call whose context ended is not the module's fault until its deadline.
func TestCallIsStuckOnlyWhenLate(t *testing.T) {
	m := &module{path: "a module"}
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	err := m.run(ctx, "signing", 300*time.Millisecond, false, func() error { <-release; return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want context.Canceled", err)
	}
	if err := m.hanging("signing"); err != nil {
		t.Errorf("refused before the deadline: %v", err)
	}
	until(t, "the module is refused", func() bool { return errors.Is(m.hanging("signing"), signer.ErrDeadline) })
	close(release)
	until(t, "the module is taken back", func() bool { return m.hanging("signing") == nil })
}

func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}
