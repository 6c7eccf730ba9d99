package online

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// TestCheckEndsInTime: many answers, each just in time, are not many times as long.
func TestCheckEndsInTime(t *testing.T) {
	b := newBench(t, true)
	b.cfg.CheckTimeout = 200 * time.Millisecond
	b.cfg.Store = slowStore{b.store}
	start := time.Now()
	_, err := b.service().Check(t.Context(), Request{Always: true})
	if took := time.Since(start); !errors.Is(err, ErrStore) || took > 5*time.Second {
		t.Errorf("%v after %s", err, took)
	}
	b.cfg.CheckTimeout = 0
	cfg, err := b.cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	// packaging/systemd: WatchdogSec=20min, checks once a minute.
	if longest := 3*cfg.Interval + 2*cfg.CheckTimeout; longest > 18*time.Minute {
		t.Errorf("a check may keep the watchdog waiting for %s", longest)
	}
}

// slowStore has any snapshot that it is asked for, after a while.
type slowStore struct{ *fakeStore }

func (s slowStore) Get(ctx context.Context, name string, limit int64) ([]byte, string, time.Time, error) {
	select {
	case <-ctx.Done():
		return nil, "", time.Time{}, ctx.Err()
	case <-time.After(50 * time.Millisecond):
	}
	data, etag, date, err := s.fakeStore.Get(ctx, name, limit)
	if err != nil && filepath.Ext(name) == ".json" && name != "2.root.json" {
		return []byte("{}"), "", date, nil
	}
	return data, etag, date, err
}
