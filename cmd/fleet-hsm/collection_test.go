//go:build cgo && linux

package main

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// TestCollectLater: only the first collection is put off.
func TestCollectLater(t *testing.T) {
	t.Setenv("GOGC", "")
	percent := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	collectLater()
	if got := percent(); got != 200 {
		t.Fatalf("GOGC is %d at first, not 200", got)
	}
	for range 1000 {
		if runtime.GC(); percent() == 100 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("GOGC is %d after a collection, not 100", percent())
}
