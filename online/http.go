package online

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleet-hsm/fleet-hsm/internal/listen"
)

// DefaultListen is where the listener is unless somebody says otherwise.
const DefaultListen = "127.0.0.1:9471"

// health is what the two health endpoints answer from.
type health struct {
	mu      sync.Mutex
	checks  int
	at      time.Time // of the last check
	err     error     // of the last check
	expires time.Time // of the timestamp last seen, zero if none
	silent  int       // checks in a row that failed because a key's device did not answer
}

// maxSilent is how many of them say that this process will not reach the device again.
const maxSilent = 5

func (h *health) checked(at time.Time, err error, last *published, silent bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks++
	h.at, h.err = at, err
	if last != nil {
		h.expires = last.Expires
	}
	if silent {
		h.silent++
	} else {
		h.silent = 0
	}
}

// Alive says whether checks still take place: the last one is not older than three
// intervals and the time that two checks may take. A failing store is no
// reason to restart a process. A key's device that does not answer for some checks is:
// there are modules whose connection comes back only in a new process (Caml Crush), or
// whose call never does.
func (s *Service) Alive() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	limit := 3*s.cfg.Interval + 2*s.cfg.CheckTimeout
	if age := s.now().Sub(s.health.at); age > limit {
		return fmt.Errorf("no check for %s", age.Round(time.Second))
	}
	if s.health.silent >= maxSilent {
		return fmt.Errorf("the key's device did not answer in %d checks; a new process may reach it", s.health.silent)
	}
	return nil
}

// Ready says whether the last check went well and the timestamp has not expired.
func (s *Service) Ready() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	switch {
	case s.health.checks == 0:
		return errors.New("no check yet")
	case s.health.err != nil:
		return fmt.Errorf("the last check failed: %s", Cause(s.health.err))
	case !s.health.expires.IsZero() && !s.now().Before(s.health.expires):
		return errors.New("the timestamp has expired")
	}
	return nil
}

// Handler serves the metrics and the health of a signer.
func Handler(s *Service, g prometheus.Gatherer) http.Handler {
	return listen.Handler(s.Alive, s.Ready, g)
}

// Listen opens the listener. An address without a host would be every network of the
// machine, so that must be said: 0.0.0.0 or [::].
func Listen(addr string) (net.Listener, error) {
	l, err := listen.Open(addr)
	if errors.Is(err, listen.ErrAddress) {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return l, err
}
