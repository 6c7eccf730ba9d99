package online

import (
	"context"
	"errors"
	"net"

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
}

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
	systemd.Stopping(log)
	return errors.Join(err, <-served)
}
