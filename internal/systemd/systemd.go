// Package systemd tells systemd how a service of ours is: that it is ready, that it still
// does its work, that it ends. Without systemd around it nothing is told to anybody.
package systemd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the service does its work from now on, and Stopping that it ends.
func Ready(log *slog.Logger)    { notify(log, daemon.SdNotifyReady) }
func Stopping(log *slog.Logger) { notify(log, daemon.SdNotifyStopping) }

// Watchdog tells systemd that the process is alive as long as checks take place, as
// often as the unit asks for: the pause between two checks may be longer than that.
func Watchdog(ctx context.Context, log *slog.Logger, alive func() error) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("asking systemd for its watchdog", "error", err)
	}
	if every <= 0 {
		return
	}
	t := time.NewTicker(every / 3)
	defer t.Stop()
	for {
		if err := alive(); err == nil {
			notify(log, daemon.SdNotifyWatchdog)
		} else {
			log.Error("systemd is not told that this process is alive", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("telling systemd", "state", state, "error", err)
	}
}
