package online

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// TestTwoMachines: the release engineer has no timestamp key, the datacenter nothing
// else; releases and a rotation of the timestamp key, while Fleet's clients poll.
func TestTwoMachines(t *testing.T) {
	b := newBench(t, true)
	b.raw = open(t, s3test.Start(t).URL("fleet"))
	b.publish()
	pinned := b.repo.Read("1.root.json")
	j := client.New(t, func(ctx context.Context, name string) ([]byte, error) {
		o, err := store.Get(ctx, b.raw, name, 1<<20)
		return o.Data, err
	}, pinned)
	stop := j.Poll(true, t.TempDir(), 20*time.Millisecond)

	next := &memKey{key: repotest.NewKey(t)}
	clock := &wakeableClock{wake: make(chan struct{}, 1)}
	s, err := New(Config{Store: store.Plain{Store: b.raw}, Root: pinned, Keys: []KeySource{b.key, next}, Clock: clock, Logger: b.cfg.Logger, Beat: clock.beat})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()

	for i := range 10 {
		b.repo.Targets[fmt.Sprintf("orbit/linux/1.%d/orbit", i)] = fmt.Append(nil, i)
		b.repo.CommitWithoutTimestamp()
		b.publishWithoutTimestamp()
		clock.until(t, func() bool {
			f, err := parse(b.timestamp(), roleTimestamp)
			return err == nil && f.Meta["snapshot.json"].Version == int64(b.repo.Version["snapshot"])
		})
		b.pull()
	}
	rep := stop()
	if rep.Rounds == 0 || rep.Failed > 0 {
		t.Errorf("%d of %d rounds failed: %v", rep.Failed, rep.Rounds, rep.Errors)
	}
	// Between the new root and the new timestamp nobody can update; so this is not polled.
	b.repo.Keys["timestamp"] = append(b.repo.Keys["timestamp"][:0:0], next.key)
	b.repo.Root()
	b.repo.CommitWithoutTimestamp()
	b.publishWithoutTimestamp()
	clock.until(t, func() bool {
		f, err := parse(b.timestamp(), roleTimestamp)
		return err == nil && f.Meta["snapshot.json"].Version == int64(b.repo.Version["snapshot"])
	})
	if err := j.All(t.TempDir()); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// wakeableClock is the real time, but a sleeping loop can be told to go on.
type wakeableClock struct {
	wake  chan struct{}
	mu    sync.Mutex
	beats int
}

func (c *wakeableClock) Now() time.Time { return time.Now() }

func (c *wakeableClock) Sleep(ctx context.Context, _ time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.wake:
		return nil
	}
}

func (c *wakeableClock) beat(bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats++
}

// until lets the loop go round until f holds.
func (c *wakeableClock) until(t *testing.T, f func() bool) {
	t.Helper()
	for range 10 {
		if f() {
			return
		}
		c.mu.Lock()
		before := c.beats
		c.mu.Unlock()
		c.wake <- struct{}{}
		for now := before; now == before; {
			time.Sleep(time.Millisecond)
			c.mu.Lock()
			now = c.beats
			c.mu.Unlock()
		}
	}
	t.Fatal("ten checks did not pick it up")
}
