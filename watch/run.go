package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Service follows one repository.
type Service struct {
	cfg   Config
	mem   *memory
	saved [sha256.Size]byte // of the state file as it was written last
	logs  logs

	mu      sync.Mutex
	polls   int
	at      time.Time // the end of the last poll
	reached int       // how many addresses answered in it
}

// New reads the state file; nothing is asked of any address yet. Errors: *StateError, and
// misuse for a configuration that cannot work.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg}
	if err := s.recall(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) now() time.Time { return s.cfg.Clock.Now() }

// look is what one address showed in a poll.
type look struct {
	name   string
	report *verify.Report
	err    error
	faults []Finding // of its content
}

// Poll looks at every address once. An error means that the state could not be kept or that
// the context ended; what is wrong with the repository is a finding.
func (s *Service) Poll(ctx context.Context) error {
	start := s.now()
	looks := s.lookEverywhere(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A signature stands in its transcript before anybody can see it, so the transcripts
	// are read after the addresses.
	found := s.readLogs()
	now := s.now()
	for _, l := range looks {
		found = append(found, s.judge(now, l)...)
	}
	found = append(found, s.behind(now, looks)...)
	s.reconcile(now, found)
	s.remember(now, looks)
	s.cfg.Metrics.polled(now, now.Sub(start), s)
	return s.save()
}

func (s *Service) lookEverywhere(ctx context.Context) []look {
	looks := make([]look, len(s.cfg.Addresses))
	slots := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, a := range s.cfg.Addresses {
		slots <- struct{}{}
		// Before the goroutines share it, each gets its part of the memory.
		m := s.mem.address(a.Name)
		known := s.knownTrouble(a.Name)
		group.Go(func() {
			defer func() { <-slots }()
			looks[i] = s.look(ctx, a, m, known)
		})
	}
	group.Wait()
	return looks
}

// knownTrouble: something is wrong at an address already, and reading it again within the
// poll would tell nothing new.
func (s *Service) knownTrouble(address string) bool {
	for _, o := range s.mem.Open {
		if o.Address == address && o.Told && o.Kind != ExpiresSoon && o.Kind != StandsStill {
			return true
		}
	}
	return false
}

func (s *Service) look(ctx context.Context, a Address, m *addressMemory, known bool) look {
	l := look{name: a.Name}
	for try := 1; ; try++ {
		l.report, l.err = runOnce(ctx, a.Place, s.now())
		if ctx.Err() != nil || known || try == tries || l.err == nil && calm(l.report) {
			break
		}
		if s.cfg.Clock.Sleep(ctx, settle) != nil {
			break
		}
	}
	if l.err == nil && ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, contentTimeout)
		defer cancel()
		l.faults = s.checkContent(cctx, a, m, l.report)
	}
	return l
}

func runOnce(ctx context.Context, p *verify.Place, at time.Time) (*verify.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("it was not read within %s", lookTimeout))
	defer cancel()
	return p.Run(ctx, at)
}

// calm: there is nothing in a report that a publisher at work could explain.
func calm(r *verify.Report) bool {
	for _, f := range r.Findings {
		if kindOf(f) != "" && !r.OnlyExpiry(f) {
			return false
		}
	}
	return true
}

// remember notes what was seen, for the next poll.
func (s *Service) remember(now time.Time, looks []look) {
	current := map[string]bool{}
	reached := 0
	for _, l := range looks {
		current[l.name] = true
		if l.err != nil {
			continue
		}
		reached++
		s.rememberLook(now, l)
	}
	for name := range s.mem.Addresses {
		if !current[name] {
			delete(s.mem.Addresses, name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls, s.at, s.reached = s.polls+1, now, reached
}

func (s *Service) rememberLook(now time.Time, l look) {
	m := s.mem.address(l.name)
	for _, seen := range sights(l.report) {
		h := s.mem.role(seen.role)
		if seen.version > h.Highest {
			s.cfg.Tell(Event{1, now.UTC(), NewVersion, Info, "", l.name, seen.role, seen.version, fmt.Sprintf("%s v%d, good until %s", seen.role, seen.version, seen.expires.UTC().Format("2006-01-02 15:04"))})
		}
		h.note(seen.version, sight{seen.sum, l.name, now.UTC()}, seen.expires.Sub(now))
		m.Highest[seen.role] = max(m.Highest[seen.role], seen.version)
	}
	s.cfg.Metrics.looked(now, l)
}

// Run polls until the context ends, which is no error.
func (s *Service) Run(ctx context.Context) error {
	var names []string
	for _, a := range s.cfg.Addresses {
		names = append(names, a.Name)
	}
	s.cfg.Tell(Event{1, s.now().UTC(), Started, Info, "", "", "", 0, fmt.Sprintf("watching %q every %s", names, s.cfg.Interval)})
	for {
		if err := s.Poll(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		// Minutes pass until the next poll; what this one read need not be kept for that long.
		debug.FreeOSMemory()
		pause := s.cfg.Interval - time.Duration(rand.Int64N(int64(s.cfg.Interval)/20+1))
		if s.cfg.Clock.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// Alive says whether polls still take place.
func (s *Service) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := 3*s.cfg.Interval + tries*lookTimeout + contentTimeout
	if age := s.now().Sub(s.at); s.polls > 0 && age > limit {
		return fmt.Errorf("no poll for %s", age.Round(time.Second))
	}
	return nil
}

// Ready says whether the last poll reached an address.
func (s *Service) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.polls == 0:
		return errors.New("no poll yet")
	case s.reached == 0:
		return errors.New("no address answered")
	}
	return nil
}

// Close gives connections back.
func (s *Service) Close() {
	for _, a := range s.cfg.Addresses {
		a.Place.Close()
	}
}
