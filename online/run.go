package online

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// onceTries is how often Once tries when another writer or the store is in the way.
const onceTries = 3

// Once does a single check and signs if req says so: what `timestamp --store` does.
func Once(ctx context.Context, cfg Config, req Request) (Result, error) {
	s, err := New(cfg)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = s.Close() }()
	for try := 1; ; try++ {
		res, err := s.Check(ctx, req)
		if err == nil || try == onceTries || !errors.Is(err, ErrStore) || ctx.Err() != nil {
			return res, err
		}
		if err := s.cfg.Clock.Sleep(ctx, backOff(try, s.cfg.Interval)); err != nil {
			return res, err
		}
	}
}

// Run checks until the context ends, which is no error. It goes on after every
// failure, more and more slowly up to Interval, and says how long is left.
func (s *Service) Run(ctx context.Context) error {
	failures, begun := 0, false
	for {
		res, err := s.Check(ctx, Request{})
		if ctx.Err() != nil {
			return nil
		}
		var pause time.Duration
		if err != nil {
			failures++
			pause = backOff(failures, s.cfg.Interval)
			s.complain(err, pause)
		} else {
			if !begun || failures > 0 {
				s.log.Info("check went well", s.renewal()...)
			}
			failures, begun = 0, true
			pause = s.pause(res)
			s.log.Debug("check", "outcome", res.Outcome, "version", res.Version, "expires", res.Expires)
		}
		if s.cfg.Beat != nil {
			s.cfg.Beat(err == nil)
		}
		if s.cfg.Clock.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// complain says what failed and how much time is left to repair it.
func (s *Service) complain(err error, pause time.Duration) {
	args := []any{"cause", Cause(err), "error", err.Error(), "again_in", pause.Round(time.Millisecond).String()}
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last != nil {
		left := last.Expires.Sub(s.now()).Round(time.Second)
		args = append(args, "timestamp_version", last.Version, "left", left.String())
	}
	s.log.Error("check failed", args...)
}

// pause is the time until the next check: the interval, a little scattered, or until
// the timestamp is due if that is sooner.
func (s *Service) pause(res Result) time.Duration {
	p := s.cfg.Interval - time.Duration(rand.Int64N(int64(s.cfg.Interval)/10+1))
	s.mu.Lock()
	due := res.Expires.Add(-s.cfg.RenewBefore - s.jitterFor(res.Version)).Sub(s.now())
	s.mu.Unlock()
	if due > 0 && due < p {
		p = due
	}
	return p
}

// backOff doubles from a second, or from an eighth of a shorter interval, up to the
// interval, and scatters by half.
func backOff(failures int, interval time.Duration) time.Duration {
	d := min(time.Second, interval/8)
	for i := 1; i < failures && d < interval; i++ {
		d *= 2
	}
	d = min(d, interval)
	return d/2 + time.Duration(rand.Int64N(int64(d)/2+1))
}
