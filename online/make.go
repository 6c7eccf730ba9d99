package online

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// nextVersion is one above every timestamp that was in force. The first is not below the
// snapshot's, as it always was.
func (s *Service) nextVersion(snap *snapshot) (int64, error) {
	if s.mem.Floor == 0 {
		return tuf.NextVersion(roleTimestamp, snap.Version-1)
	}
	return tuf.NextVersion(roleTimestamp, s.mem.Floor)
}

// make signs the next timestamp, or gives the one that is pending.
func (s *Service) make(ctx context.Context, ts *published, snap *snapshot) ([]byte, error) {
	version, err := s.nextVersion(snap)
	if err != nil {
		return nil, err
	}
	if f := s.pending(version); f != nil && s.usable(f.Expires, f.Meta["snapshot.json"], ts, snap) {
		return f.data, nil
	}
	message, err := s.reserve(version, ts, snap)
	if err != nil {
		return nil, err
	}
	sigs, err := s.signTimestamp(ctx, message)
	if err != nil {
		return nil, err
	}
	data, err := tuf.EncodeEnvelope(message, sigs)
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
	return data, s.signed(f)
}

// reserve gives what is to be signed, and remembers it before any key sees it: whatever
// ends this process, the next one gives the number to the same bytes or to none.
func (s *Service) reserve(version int64, ts *published, snap *snapshot) ([]byte, error) {
	r := s.mem.Reserved
	if old, expires, ok := r.parse(); ok && r.Version >= version && s.usable(expires, old.Meta["snapshot.json"], ts, snap) {
		return []byte(r.Message), nil
	}
	if taken := max(r.Version, s.mem.Signed.Version); taken >= version {
		var err error
		if version, err = tuf.NextVersion(roleTimestamp, taken); err != nil {
			return nil, err
		}
	}
	expires, err := s.expiry()
	if err != nil {
		return nil, err
	}
	message, err := tuf.TimestampMessage(version, expires, snap.Version, snap.data)
	if err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	s.mem.Reserved = reserved{version, string(message)}
	return message, s.save()
}

// parse reads a reserved message; not ok: it is not as reserve writes it.
func (r reserved) parse() (ts tuf.SignedTimestamp, expires time.Time, ok bool) {
	if json.Unmarshal([]byte(r.Message), &ts) != nil || ts.Type != roleTimestamp || ts.Version != r.Version {
		return ts, expires, false
	}
	again, err := cjson.EncodeCanonical(ts)
	if err != nil || string(again) != r.Message {
		return ts, expires, false
	}
	expires, err = time.Parse(time.RFC3339, ts.Expires)
	return ts, expires, err == nil
}

// signed remembers what is about to be written, before anybody can see it.
func (s *Service) signed(f *file) error {
	s.mem.Pending = f.data
	s.mem.Signed = ownSigned{seen{f.Version, sumOf(f.data)}, s.root().Version}
	return s.save()
}

// pending is the timestamp of a version that was signed and whose writing had no clear
// end, nil if there is none that agents could have seen.
func (s *Service) pending(version int64) *file {
	if s.mem.Pending == nil {
		return nil
	}
	f, err := parse(s.mem.Pending, roleTimestamp)
	if err != nil || f.Version != version || s.root().roles[roleTimestamp].verify(f) != nil {
		return nil
	}
	return f
}

// usable: a timestamp that was signed or reserved before is still worth writing: it is
// good for a while, not for longer than the configuration says now, and stands on the
// snapshot in force or on the one before.
func (s *Service) usable(expires time.Time, m tuf.FileMeta, ts *published, snap *snapshot) bool {
	if left := expires.Sub(s.now()); left < s.cfg.RenewBefore/2 || left > s.cfg.Expires+s.cfg.MaxSkew {
		return false
	}
	if m.Version == snap.Version && m.Fits(snap.data) == nil {
		return true
	}
	return ts != nil && !ts.old && ts.Meta["snapshot.json"].Same(m)
}

// brief: a timestamp is so much shorter than a new one that it was made some time ago.
func (s *Service) brief(expires time.Time) bool {
	return expires.Sub(s.now()) < s.cfg.Expires-s.cfg.RenewBefore/2
}

// expiry is when a timestamp made now expires. Clocks of several instances differ a
// little: then it is when the published one does.
func (s *Service) expiry() (time.Time, error) {
	published := time.Time{}
	if s.last != nil && !s.cfg.AllowShorter {
		published = s.last.Expires
	}
	t, ok := tuf.NewExpiry(s.now(), s.cfg.Expires, published, s.cfg.MaxSkew)
	if !ok {
		return t, &ShorterError{Published: s.last.Expires, New: t}
	}
	return t, nil
}
