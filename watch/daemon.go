package watch

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/fleet-hsm/fleet-hsm/internal/listen"
	"github.com/fleet-hsm/fleet-hsm/internal/systemd"
)

// Daemon is the watch as a service: it runs until its context ends, serves metrics and
// health, and tells systemd how it is.
type Daemon struct {
	Config Config
	// Listen is the address of metrics and health, "" for none; Listening is told which
	// address it became.
	Listen    string
	Listening func(net.Addr)
	Log       *slog.Logger
}

// gcPercent is how much garbage may lie beside what is in use: the watch has minutes for
// what takes milliseconds, and stands beside other programs on a small machine.
const gcPercent = 20

// Run ends without an error when the context does. While it runs, this process collects
// garbage early.
func (d Daemon) Run(ctx context.Context) error {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.Config.Metrics = NewMetrics(reg, d.Config.Clock.Now)
	s, err := New(d.Config)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	served <- nil
	if d.Listen != "" {
		l, err := listen.Open(d.Listen)
		if err != nil {
			return err
		}
		<-served
		d.Listening(l.Addr())
		go func() {
			served <- listen.Serve(ctx, l, listen.Handler(s.Alive, s.Ready, reg))
			stop()
		}()
	}
	systemd.Ready(d.Log)
	go systemd.Watchdog(ctx, d.Log, s.Alive)
	err = s.Run(ctx)
	stop()
	systemd.Stopping(d.Log)
	return errors.Join(err, <-served)
}
