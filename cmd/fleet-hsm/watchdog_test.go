//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/signer"
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
	go watchdog(ctx, slog.New(slog.DiscardHandler), func() error {
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

// TestSilentDevice: what a new process may mend, and what it would make worse.
func TestSilentDevice(t *testing.T) {
	wrongPIN := &signer.PINError{Left: 2, Err: signer.ErrDeadline}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&online.SignError{Need: 1, Err: errors.Join(signer.ErrUnreachable)}, true},
		{&online.SignError{Need: 1, Err: fmt.Errorf("key: %w", signer.ErrDeadline)}, true},
		{&online.SignError{Need: 1, Err: signer.ErrNoToken}, false},
		{&online.SignError{Need: 1, Err: errors.Join(signer.ErrUnreachable, wrongPIN)}, false},
		{&online.StoreError{Err: context.DeadlineExceeded}, false},
	} {
		if got := silentDevice(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
