package online

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
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
)

// Result is what a check found and did.
type Result struct {
	Outcome Outcome `json:"outcome"`
	// Reason says why a timestamp was due: "renew", "new-snapshot", "no-timestamp",
	// "keys-changed", "store-went-back", "asked"; "" if none was.
	Reason string `json:"reason,omitempty"`
	// Version and Expires are those of the timestamp now in force.
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	// Snapshot and Root are the versions it stands on.
	Snapshot int64 `json:"snapshot"`
	Root     int64 `json:"root"`
}

// Request says when a check must sign.
type Request struct {
	// Always: sign whether due or not.
	Always bool
	// Within, if not 0, takes the place of Config.RenewBefore.
	Within time.Duration
}

// Check does one round, as the package doc describes it.
func (s *Service) Check(ctx context.Context, req Request) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res, err := s.check(ctx, req)
	switch {
	case ctx.Err() != nil: // told to stop, which is no failure
	case err != nil:
		s.cfg.Metrics.failed(Cause(err))
	default:
		s.cfg.Metrics.succeeded(res.Outcome, s.now())
	}
	s.health.checked(s.now(), err, s.last, err != nil && s.cfg.Silent != nil && s.cfg.Silent(err))
	if s.bulky {
		s.bulky = false
		debug.FreeOSMemory()
	}
	return res, err
}

func (s *Service) check(ctx context.Context, req Request) (Result, error) {
	s.copy = nil
	if err := s.followRoots(ctx); err != nil {
		return Result{}, err
	}
	ts, err := s.readTimestamp(ctx)
	if err != nil {
		return Result{}, err
	}
	reason := s.remember(ts)
	snap, err := s.findSnapshot(ctx, ts)
	if err != nil {
		return Result{}, err
	}
	s.keep(snap)
	if reason == "" {
		reason = s.due(ts, snap, req)
	}
	if reason == "" {
		outlived, err := s.outlived(ctx)
		if err != nil {
			return Result{}, err
		}
		if outlived {
			reason = "keys-changed"
		}
	}
	if reason == "" {
		return s.result(Fresh, "", ts.file, snap), nil
	}
	return s.renew(ctx, ts, snap, reason)
}

// remember keeps the highest timestamp seen, and says if the store went back behind
// it: then agents that saw the higher one are stuck until there is one above.
func (s *Service) remember(ts *published) string {
	if s.last == nil || ts != nil && ts.Version > s.last.Version {
		s.last = ts
	}
	switch {
	case ts == nil && s.last != nil, ts != nil && ts.Version < s.last.Version,
		ts != nil && ts.Version == s.last.Version && !bytes.Equal(ts.data, s.last.data):
		s.log.Error("the store went back behind a timestamp that was published", "seen", s.last.Version)
		return "store-went-back"
	}
	if ts != nil {
		s.cfg.Metrics.role(roleTimestamp, ts.Version, ts.Expires)
	}
	return ""
}

// keep notes the snapshot in force.
func (s *Service) keep(snap *snapshot) {
	s.snap, s.snapRoot = snap, s.root().Version
	s.cfg.Metrics.role(roleSnapshot, snap.Version, snap.Expires)
	for _, t := range s.goodTargets {
		if t.version == snap.targets.Version {
			s.cfg.Metrics.role(roleTargets, t.version, t.expires)
		}
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

func (s *Service) result(o Outcome, reason string, ts *file, snap *snapshot) Result {
	return Result{Outcome: o, Reason: reason, Version: ts.Version, Expires: ts.Expires, Snapshot: snap.Version, Root: s.root().Version}
}

// renew signs and publishes.
func (s *Service) renew(ctx context.Context, ts *published, snap *snapshot, reason string) (Result, error) {
	etag := ""
	if ts != nil {
		etag = ts.etag
	}
	data, err := s.make(ctx, etag, snap)
	if err != nil {
		return Result{}, err
	}
	return s.put(ctx, data, etag, snap, reason)
}

// timestamp is the signed part of timestamp.json as go-tuf v0.5.2 writes it.
type timestamp struct {
	Type        string              `json:"_type"`
	Expires     string              `json:"expires"`
	Meta        map[string]fileMeta `json:"meta"`
	SpecVersion string              `json:"spec_version"`
	Version     int64               `json:"version"`
}

// make signs the next timestamp, or gives the one that was signed for the same place
// and whose writing had no clear end: so that one version never has two contents.
func (s *Service) make(ctx context.Context, etag string, snap *snapshot) ([]byte, error) {
	over := sha512Hex(snap.data)
	version := snap.Version // the first is not below the snapshot's, as it always was
	if s.last != nil {
		version = s.last.Version + 1
	}
	if p := s.pending; p != nil && p.version == version && p.etag == etag && p.over == over && p.root == s.root().Version && s.now().Sub(p.signed).Abs() < s.cfg.RenewBefore/2 {
		return p.data, nil
	}
	expires, err := s.expiry()
	if err != nil {
		return nil, err
	}
	signed := timestamp{
		Type: roleTimestamp, SpecVersion: "1.0", Version: version, Expires: expires.Format(time.RFC3339),
		Meta: map[string]fileMeta{"snapshot.json": {Version: snap.Version, Length: int64(len(snap.data)), Hashes: map[string]string{"sha512": over}}},
	}
	message, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	sigs, err := s.signTimestamp(ctx, message)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(struct {
		Signed     json.RawMessage `json:"signed"`
		Signatures []signature     `json:"signatures"`
	}{message, sigs})
	if err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	f, err := parse(data, roleTimestamp)
	if err == nil {
		err = s.root().roles[roleTimestamp].verify(f)
	}
	if err != nil {
		return nil, &SignError{Have: len(sigs), Need: s.root().roles[roleTimestamp].threshold, Err: err}
	}
	s.pending = &pending{data: data, version: version, etag: etag, over: over, root: s.root().Version, signed: s.now()}
	return data, nil
}

// expiry is when a timestamp made now expires. Clocks of several instances differ a
// little: then it is when the published one does.
func (s *Service) expiry() (time.Time, error) {
	t := s.now().Add(s.cfg.Expires).UTC().Truncate(time.Second)
	if s.last == nil || !t.Before(s.last.Expires) || s.cfg.AllowShorter {
		return t, nil
	}
	if s.last.Expires.Sub(t) <= s.cfg.MaxSkew {
		return s.last.Expires.UTC().Truncate(time.Second), nil
	}
	return t, &ShorterError{Published: s.last.Expires, New: t}
}

// put writes a timestamp and reads back what the store has then.
func (s *Service) put(ctx context.Context, data []byte, etag string, snap *snapshot, reason string) (Result, error) {
	pctx, cancel := context.WithTimeout(ctx, s.cfg.StoreTimeout)
	start := time.Now()
	perr := s.cfg.Store.PutTimestamp(pctx, data, etag, s.root().Consistent)
	cancel()
	s.cfg.Metrics.request("put", time.Since(start))
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	got, gotTag, _, err := s.get(ctx, "timestamp.json", maxTimestamp)
	if err != nil {
		return Result{}, &StoreError{Err: errors.Join(perr, err)}
	}
	if got == nil {
		return Result{}, &StoreError{Err: errors.Join(perr, errors.New("timestamp.json is absent after it was written"))}
	}
	ts, err := s.verifyTimestamp(got, gotTag)
	if err != nil {
		return Result{}, errors.Join(err, perr)
	}
	mine := bytes.Equal(got, data)
	if !mine && gotTag == etag {
		// Nothing has changed: the write failed.
		return Result{}, &StoreError{Err: errors.Join(perr, errors.New("timestamp.json was not written"))}
	}
	if s.remember(ts) != "" {
		return Result{}, &StoreError{Err: errors.New("the store went back while timestamp.json was written")}
	}
	s.pending = nil
	if mine {
		s.suspect = 0
		s.log.Info("timestamp signed", "reason", reason, "version", ts.Version, "expires", ts.Expires, "snapshot", snap.Version)
		return s.result(Signed, reason, ts.file, snap), nil
	}
	if m := ts.Meta["snapshot.json"]; ts.old || m.Version < snap.Version {
		return Result{}, &StoreError{Err: fmt.Errorf("another writer's timestamp %d covers snapshot %d, not %d", ts.Version, m.Version, snap.Version)}
	}
	s.log.Info("another instance signed", "version", ts.Version, "expires", ts.Expires)
	return s.result(OtherWriter, reason, ts.file, snap), nil
}
