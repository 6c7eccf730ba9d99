package online

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Daemon is the signer as a service: it runs until its context ends, serves metrics and
// health, and tells systemd how it is.
type Daemon struct {
	Config Config
	// Listen is the address of metrics and health, "" for none.
	Listen string
	// Listening is told which address it became; Started is called before the first check.
	Listening func(net.Addr)
	Started   func(context.Context)
}

// ListenError: the address could not be opened.
type ListenError struct{ Err error }

func (e *ListenError) Error() string { return e.Err.Error() }
func (e *ListenError) Unwrap() error { return e.Err }

// Run ends without an error when the context does.
func (d Daemon) Run(ctx context.Context) (err error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.Config.Metrics = NewMetrics(reg, nil)
	log := d.Config.Logger
	s, err := New(d.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	if d.Listen != "" {
		l, err := Listen(d.Listen)
		if err != nil {
			return &ListenError{err}
		}
		d.Listening(l.Addr())
		log.Info("listening", "address", l.Addr().String())
		go func() {
			served <- Serve(ctx, l, Handler(s, reg))
			stop()
		}()
	} else {
		served <- nil
	}
	notify(log, daemon.SdNotifyReady)
	d.Started(ctx)
	go watchdog(ctx, log, s.Alive)
	err = s.Run(ctx)
	stop()
	notify(log, daemon.SdNotifyStopping)
	return errors.Join(err, <-served)
}

// watchdog tells systemd that the process is alive as long as checks take place, as
// often as the unit asks for: the pause between two checks may be longer than that.
func watchdog(ctx context.Context, log *slog.Logger, alive func() error) {
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
