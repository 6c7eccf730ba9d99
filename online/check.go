package online

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Outcome is how a check ended.
type Outcome string

// The outcomes.
const (
	// Signed: a new timestamp was written and read back.
	Signed Outcome = "signed"
	// Fresh: nothing was due.
	Fresh Outcome = "fresh"
	// OtherWriter: another instance was first, and its timestamp is good.
	OtherWriter Outcome = "other-writer"
	// Due: a dry run, which would have signed.
	Due Outcome = "due"
)

// Result is what a check found and did.
type Result struct {
	Outcome Outcome `json:"outcome"`
	// Reason says why a timestamp was due: "renew", "new-snapshot", "no-timestamp",
	// "keys-changed", "asked"; "" if none was.
	Reason string `json:"reason,omitempty"`
	// Version and Expires are those of the timestamp now in force.
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	// Snapshot and Root are the versions it stands on.
	Snapshot int64 `json:"snapshot"`
	Root     int64 `json:"root"`
	// Adopted: nothing was remembered, so what the store showed was believed.
	Adopted bool `json:"adopted"`
}

// Request says when a check must sign.
type Request struct {
	// Always: sign whether due or not.
	Always bool
	// Within, if not 0, takes the place of Config.RenewBefore.
	Within time.Duration
	// DryRun: say whether one would be signed; sign and write nothing, not even what is
	// remembered.
	DryRun bool
}

// Check does one round, as the package doc describes it.
func (s *Service) Check(ctx context.Context, req Request) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res, err := s.checkInTime(ctx, req)
	switch {
	case ctx.Err() != nil: // told to stop, which is no failure
	case err != nil:
		s.cfg.Metrics.failed(err)
	default:
		s.cfg.AcceptExpired = false
		s.cfg.Metrics.succeeded(res.Outcome, s.now())
	}
	s.health.checked(s.now(), err, s.last, err != nil && s.cfg.Silent != nil && s.cfg.Silent(err))
	if s.bulky {
		s.bulky = false
		debug.FreeOSMemory()
	}
	return res, err
}

// checkInTime bounds a check as a whole: a store that answers each of many requests at
// the last moment is no reason for a watchdog to end the process.
func (s *Service) checkInTime(ctx context.Context, req Request) (Result, error) {
	inner, cancel := context.WithTimeout(ctx, s.cfg.CheckTimeout)
	defer cancel()
	res, err := s.check(inner, req)
	if err != nil && inner.Err() != nil && ctx.Err() == nil && !errors.Is(err, ErrStore) {
		err = &StoreError{Err: fmt.Errorf("the check did not end within %s: %w", s.cfg.CheckTimeout, err)}
	}
	return res, err
}

func (s *Service) check(ctx context.Context, req Request) (Result, error) {
	s.copy, s.dryRun = nil, req.DryRun
	first, err := s.begin()
	if err != nil {
		return Result{}, err
	}
	ts, snap, err := s.look(ctx, first)
	if err != nil {
		if first { // it has believed nothing yet
			s.mem = newMemory()
		}
		return Result{}, err
	}
	if first {
		s.log.Warn("no state yet: what the store shows is believed to be the newest", "file", s.cfg.StateFile, "snapshot", snap.Version)
		if ts != nil && ts.old {
			s.log.Warn("no state yet, and a key that root no longer names signed the timestamp: its version counts for nothing, so agents that hold a higher one follow after their next start", "published", ts.Version)
		}
	}
	if err := s.save(); err != nil {
		return Result{}, err
	}
	reason := s.due(ts, snap, req)
	if reason == "" {
		outlived, err := s.outlived(ctx)
		if err != nil {
			return Result{}, err
		}
		if outlived {
			reason = "keys-changed"
		}
	}
	res := s.result(Fresh, "", ts, snap)
	if reason != "" && req.DryRun {
		res = s.result(Due, reason, ts, snap)
	} else if reason != "" {
		res, err = s.renew(ctx, ts, snap, reason)
	}
	res.Adopted = first
	return res, err
}

// begin brings back what is remembered; first: that is nothing.
func (s *Service) begin() (first bool, err error) {
	if err := s.recall(); err != nil {
		return false, err
	}
	if s.cfg.AcceptOlder {
		s.cfg.AcceptOlder = false
		s.mem.accept()
		s.last, s.snap = nil, nil
	}
	first = s.mem.empty()
	var before *root
	for _, r := range s.chain {
		s.mem.follow(before, r)
		before = r
	}
	return first, nil
}

// look reads what the store shows and checks it, last against what is remembered.
func (s *Service) look(ctx context.Context, first bool) (*published, *snapshot, error) {
	if err := s.followRoots(ctx); err != nil {
		return nil, nil, err
	}
	if !first {
		if err := s.save(); err != nil { // a root that was seen stays, whatever follows
			return nil, nil, err
		}
	}
	ts, err := s.readTimestamp(ctx)
	if err != nil {
		return nil, nil, err
	}
	snap, err := s.inForce(ctx, ts)
	return ts, snap, err
}

// inForce checks what the store shows against what is remembered, and remembers it.
func (s *Service) inForce(ctx context.Context, ts *published) (*snapshot, error) {
	if err := s.mem.allowsTimestamp(ts); err != nil {
		return nil, err
	}
	if err := s.mem.lapsed(ts, s.now()); err != nil && !s.cfg.AcceptExpired {
		return nil, err
	}
	snap, err := s.findSnapshot(ctx, ts)
	if err != nil {
		return nil, err
	}
	if ts != nil && !ts.old {
		// Every snapshot had a timestamp, and was signed by another key.
		if err := tuf.CheckVersion(roleTimestamp, max(s.mem.Floor, snap.Version), ts.Version); err != nil {
			return nil, err
		}
	}
	s.keep(ts, snap)
	return snap, nil
}

// keep notes what is in force.
func (s *Service) keep(ts *published, snap *snapshot) {
	s.mem.note(ts, snap)
	s.snap, s.snapRoot = snap, s.root().Version
	s.cfg.Metrics.role(roleSnapshot, snap.Version, snap.Expires)
	s.cfg.Metrics.role(roleTargets, snap.listed.version, snap.listed.expires)
	if ts != nil && !ts.old {
		s.last = ts
		s.cfg.Metrics.role(roleTimestamp, ts.Version, ts.Expires)
	}
}

// due says why a new timestamp is needed, "" if it is not.
func (s *Service) due(ts *published, snap *snapshot, req Request) string {
	switch {
	case ts == nil:
		return "no-timestamp"
	case ts.old:
		return "keys-changed"
	case ts.Meta["snapshot.json"].Version != snap.Version:
		return "new-snapshot"
	case req.Always:
		return "asked"
	}
	before := s.cfg.RenewBefore
	if req.Within != 0 {
		before = req.Within
	} else {
		before += s.jitterFor(ts.Version)
	}
	if ts.Expires.Sub(s.now()) < before {
		return "renew"
	}
	return ""
}

// jitterFor spreads the instances over a tenth of the time before a renewal is due,
// so that they do not all sign at once. It is drawn once for each version.
func (s *Service) jitterFor(version int64) time.Duration {
	if s.jitters != version {
		s.jitters = version
		s.jitter = time.Duration(rand.Int64N(int64(s.cfg.Expires-s.cfg.RenewBefore)/10 + 1))
	}
	return s.jitter
}

func (s *Service) result(o Outcome, reason string, ts *published, snap *snapshot) Result {
	res := Result{Outcome: o, Reason: reason, Snapshot: snap.Version, Root: s.root().Version}
	if ts != nil {
		res.Version, res.Expires = ts.Version, ts.Expires
	}
	return res
}

// renew signs and publishes. What was signed or reserved before, over the snapshot then in
// force, and whose end is not known, goes first: no version has two contents.
func (s *Service) renew(ctx context.Context, ts *published, snap *snapshot, reason string) (Result, error) {
	for {
		etag := ""
		if ts != nil {
			etag = ts.etag
		}
		data, err := s.make(ctx, ts, snap)
		if err != nil {
			return Result{}, err
		}
		res, now, err := s.put(ctx, data, etag, snap, reason)
		if err != nil || res.Outcome != Signed {
			return res, err
		}
		if now.Meta["snapshot.json"].Version >= snap.Version && !s.brief(now.Expires) {
			return res, nil
		}
		ts = now
	}
}

// put writes a timestamp and reads back what the store has then.
func (s *Service) put(ctx context.Context, data []byte, etag string, snap *snapshot, reason string) (Result, *published, error) {
	pctx, cancel := context.WithTimeout(ctx, s.cfg.StoreTimeout)
	start := time.Now()
	perr := s.cfg.Store.PutTimestamp(pctx, data, etag, s.root().Consistent)
	cancel()
	s.cfg.Metrics.request("put", time.Since(start))
	if ctx.Err() != nil {
		return Result{}, nil, ctx.Err()
	}
	got, gotTag, _, err := s.get(ctx, "timestamp.json", tuf.MaxTimestamp)
	if err != nil {
		return Result{}, nil, &StoreError{Err: errors.Join(perr, err)}
	}
	if got == nil {
		return Result{}, nil, &StoreError{Err: errors.Join(perr, errors.New("timestamp.json is absent after it was written"))}
	}
	ts, err := s.verifyTimestamp(got, gotTag)
	if err != nil {
		return Result{}, nil, errors.Join(err, perr)
	}
	mine := bytes.Equal(got, data)
	if !mine && gotTag == etag {
		// Nothing has changed: the write failed.
		return Result{}, nil, &StoreError{Err: errors.Join(perr, errors.New("timestamp.json was not written"))}
	}
	if err := s.mem.allowsTimestamp(ts); err != nil {
		return Result{}, nil, err
	}
	if !mine && ts.Version <= s.mem.Floor {
		// An answer from before the write: whether that was taken, nobody knows yet.
		return Result{}, nil, &StoreError{Err: errors.Join(perr, fmt.Errorf("the store shows timestamp %d after one above it was written", ts.Version))}
	}
	if m := ts.Meta["snapshot.json"]; !mine && (ts.old || m.Version < snap.Version) {
		return Result{}, nil, &StoreError{Err: fmt.Errorf("another writer's timestamp %d covers snapshot %d, not %d", ts.Version, m.Version, snap.Version)}
	}
	return s.written(ts, snap, mine, reason)
}

// written remembers what is published now.
func (s *Service) written(ts *published, snap *snapshot, mine bool, reason string) (Result, *published, error) {
	s.keep(ts, snap)
	if err := s.save(); err != nil {
		return Result{}, nil, err
	}
	if !mine {
		s.log.Info("another instance signed", "version", ts.Version, "expires", ts.Expires)
		return s.result(OtherWriter, reason, ts, snap), ts, nil
	}
	s.suspect = 0
	s.log.Info("timestamp signed", "reason", reason, "version", ts.Version, "expires", ts.Expires, "snapshot", ts.Meta["snapshot.json"].Version)
	return s.result(Signed, reason, ts, snap), ts, nil
}
