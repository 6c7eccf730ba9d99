package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
)

// cmdServe serves until a signal, or --stop-after. The first line on stdout is the
// URL, printed once connections are accepted. --log names a file that gets a line per
// request: "GET /2.root.json 404".
func cmdServe(s *setup, args []string, stdout io.Writer) error {
	fs := s.flags("serve")
	addr := fs.String("addr", "127.0.0.1:0", "address to listen on")
	stopAfter := fs.Duration("stop-after", 0, "end by itself after this time")
	logFile := fs.String("log", "", "file to note requests in")
	dirs, err := arguments(fs, args, 1)
	if err != nil {
		return err
	}
	var log io.Writer
	if *logFile != "" {
		f, err := os.OpenFile(*logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		log = f
	}
	handler, err := webroot.New(dirs[0], log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	return serve(listener, handler, *stopAfter)
}

func serve(listener net.Listener, handler http.Handler, stopAfter time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if stopAfter > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, stopAfter)
		defer cancel()
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	if err := server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
