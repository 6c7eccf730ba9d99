package online

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// staleBytes shows, once, what timestamp.json was before, under the ETag of what it is.
type staleBytes struct {
	*fakeStore
	old []byte
}

func (s *staleBytes) Get(ctx context.Context, name string, limit int64) ([]byte, string, time.Time, error) {
	data, etag, date, err := s.fakeStore.Get(ctx, name, limit)
	if name == "timestamp.json" && s.old != nil {
		data, s.old = s.old, nil
	}
	return data, etag, date, err
}

// TestTwoSignersAndABucketThatLies: what the campaign counts, and why nobody can prevent it.
// Two signers know of each other through the bucket alone. One that is shown an older state,
// and has seen nothing newer, signs the number that the other has just used.
// The other notices at its next check, signs nothing, and the number after heals both; no
// signer gives a number to two contents of its own.
func TestTwoSignersAndABucketThatLies(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		b.remembering()
		first := b.service()
		b.check(first)
		b.cfg.StateFile = filepath.Join(t.TempDir(), "second.json")
		lying := &staleBytes{fakeStore: b.store}
		b.cfg.Store = lying
		second := b.service()
		b.check(second)
		b.clock.add(11 * time.Hour)
		before := b.timestamp()
		if res := b.check(first); res.Outcome != Signed || res.Version != 3 {
			t.Fatalf("the first: %+v", res)
		}
		b.clock.add(time.Hour) // another expiry, so other bytes
		honest := b.timestamp()
		lying.old = before
		if res := b.check(second); res.Outcome != Signed || res.Version != 3 || string(b.timestamp()) == string(honest) {
			t.Fatalf("the second, shown the state of before: %+v", res)
		}
		if res, err := first.Check(t.Context(), Request{Always: true}); !errors.Is(err, ErrDiverged) {
			t.Errorf("the first does not notice: %+v, %v", res, err)
		}
		if res, err := second.Check(t.Context(), Request{Always: true}); err != nil || res.Version != 4 {
			t.Errorf("the second goes on: %+v, %v", res, err)
		}
		if res, err := first.Check(t.Context(), Request{Always: true}); err != nil || res.Version != 5 {
			t.Errorf("the first afterwards: %+v, %v", res, err)
		}
	})
}
