//go:build linux

package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestWatchdog: systemd hears of the process as often as its unit asks, whatever the
// pause between two checks, and no longer once checks have stopped.
func TestWatchdog(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var hangs atomic.Bool
	go Watchdog(ctx, slog.New(slog.DiscardHandler), func() error {
		if hangs.Load() {
			return errors.New("no check for an hour")
		}
		return nil
	})
	heard := func(wait time.Duration) bool {
		buf := make([]byte, 100)
		_ = l.SetReadDeadline(time.Now().Add(wait))
		n, err := l.Read(buf)
		return err == nil && strings.Contains(string(buf[:n]), "WATCHDOG=1")
	}
	for i := range 5 {
		if !heard(30 * time.Second) {
			t.Fatalf("message %d did not come", i)
		}
	}
	hangs.Store(true)
	for end := time.Now().Add(30 * time.Second); heard(500 * time.Millisecond); {
		if time.Now().After(end) {
			t.Fatal("systemd is still told that all is well")
		}
	}
}
