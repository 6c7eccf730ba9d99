package online

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/fleet-hsm/fleet-hsm/internal/listen"
	"github.com/fleet-hsm/fleet-hsm/internal/systemd"
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
	// Version is this program's, and Store where the repository is: for the first line of
	// the log and build_info.
	Version, Store string
}

// Run ends without an error when the context does.
func (d Daemon) Run(ctx context.Context) (err error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.Config.Metrics = NewMetrics(reg, nil)
	d.Config.Metrics.keys(d.Config.Keys)
	buildInfo(reg, d.Version)
	log := d.Config.Logger
	s, err := New(d.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	d.introduce(log, s)
	asked := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	if d.Listen != "" {
		l, err := Listen(d.Listen)
		if err != nil {
			return err
		}
		d.Listening(l.Addr())
		log.Info("listening", "address", l.Addr().String())
		go func() {
			served <- listen.Serve(ctx, l, Handler(s, reg))
			stop()
		}()
	} else {
		served <- nil
	}
	systemd.Ready(log)
	d.Started(ctx)
	go systemd.Watchdog(ctx, log, s.Alive)
	err = s.Run(ctx)
	stop()
	if asked.Err() != nil {
		log.Info("stopping: asked to by a signal; what agents have stays valid", s.renewal()...)
	}
	systemd.Stopping(log)
	return errors.Join(err, <-served)
}

// introduce is the first line of the log: which program works where, with which keys.
func (d Daemon) introduce(log *slog.Logger, s *Service) {
	var keys []string
	for _, k := range d.Config.Keys {
		keys = append(keys, k.Name())
	}
	log.Info("starting", "version", d.Version, "store", d.Store, "keys", keys, "trusted_root", s.root().Version,
		"interval", s.cfg.Interval.String(), "state", d.Config.StateFile)
}

// renewal says what is in force and when the next one is due, for the log.
func (s *Service) renewal() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last.old {
		return nil
	}
	due := s.last.Expires.Add(-s.cfg.RenewBefore - s.jitterFor(s.last.Version))
	return []any{"timestamp_version", s.last.Version, "expires", s.last.Expires.UTC().Format(time.RFC3339), "next_renewal", due.UTC().Format(time.RFC3339)}
}
