package online

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Service keeps one timestamp fresh. Its methods are safe for concurrent use; checks
// take turns.
type Service struct {
	cfg Config
	log *slog.Logger

	mu sync.Mutex
	// chain are the trusted roots, oldest first.
	chain []*root
	// last is the newest timestamp seen in the store that the present root accepts.
	last *published
	// snap is the snapshot in force, verified under the root of version snapRoot.
	snap     *snapshot
	snapRoot int64
	// goodTargets remembers verified targets files by what names them.
	goodTargets map[string]targetsFile
	// suspect is the version of a root that changed keys and may be younger than the
	// published timestamp; 0 if there is none. See outlived.
	suspect int64
	// mem is what is remembered, saved what of it is in the state file.
	mem, saved *memory
	// copy is the unversioned snapshot.json as read in this check.
	copy *[]byte
	// bulky: this check has read a large targets.json.
	bulky bool
	// askNext alternates between two ways to look for newer snapshots.
	askNext bool
	// dryRun: this check writes nothing.
	dryRun bool
	// jitter is how much earlier the next renewal is due, for this timestamp.
	jitter  time.Duration
	jitters int64 // version that jitter belongs to
	// latest is the latest time that the store or, without a clock of its own, this
	// machine has shown.
	latest time.Time
	keys   []*keySlot

	health health
}

// published is a timestamp.json of the store.
type published struct {
	*file
	etag string
	// old: it verifies under a root before the present one only. Its version, its expiry
	// and the snapshot's version that it names mean nothing: retired keys are anybody's.
	old bool
}

// snapshot is a verified snapshot.
type snapshot struct {
	*file
	targets tuf.FileMeta
	listed  targetsFile // what targets names, once it is verified
}

// targetsFile is what is kept of a verified targets.json.
type targetsFile struct {
	version int64
	expires time.Time
	sum     string // SHA-256
}

// New checks the configuration and the trusted root; it reads nothing from the store
// and opens no key.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r, err := parseRoot(cfg.Root)
	if err == nil {
		err = r.roles[roleRoot].verify(r.file)
	}
	if err != nil {
		return nil, &UnverifiedError{Role: roleRoot, Name: "trusted root", Err: err}
	}
	s := &Service{cfg: cfg, log: cfg.Logger, chain: []*root{r}, goodTargets: map[string]targetsFile{}, mem: newMemory()}
	s.health.at = s.now() // the first check has as long as any other
	for _, src := range cfg.Keys {
		s.keys = append(s.keys, &keySlot{source: src})
	}
	return s, nil
}

// Close closes the keys.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, k := range s.keys {
		errs = append(errs, k.close())
	}
	return errors.Join(errs...)
}

func (s *Service) now() time.Time { return s.cfg.Clock.Now() }

// root is the newest trusted root.
func (s *Service) root() *root { return s.chain[len(s.chain)-1] }

// get reads a file within the time for one request. An absent file is nil data
// without error.
func (s *Service) get(ctx context.Context, name string, limit int64) (data []byte, etag string, date time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StoreTimeout)
	defer cancel()
	start := time.Now()
	data, etag, date, err = s.cfg.Store.Get(ctx, name, limit)
	s.cfg.Metrics.request("get", time.Since(start))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", date, nil
	}
	if err != nil {
		return nil, "", date, &StoreError{Err: err}
	}
	return data, etag, date, nil
}

// followRoots walks the chain to its end (TUF spec 5.3).
func (s *Service) followRoots(ctx context.Context) error {
	for range tuf.MaxRootSteps {
		cur := s.root()
		name := versioned(cur.Version+1, "root.json")
		data, _, _, err := s.get(ctx, name, tuf.MaxRoot)
		if err != nil {
			return err
		}
		if data == nil {
			break
		}
		next, err := parseRoot(data)
		if err == nil && next.Version != cur.Version+1 {
			err = errors.New("its version is " + strconv.FormatInt(next.Version, 10))
		}
		if err == nil {
			err = cur.roles[roleRoot].verify(next.file)
		}
		if err == nil {
			err = next.roles[roleRoot].verify(next.file)
		}
		if err != nil {
			return &UnverifiedError{Role: roleRoot, Name: name, Err: err}
		}
		if err := s.knownRoot(next); err != nil {
			return err
		}
		s.log.Info("new root", "version", next.Version, "expires", next.Expires)
		s.chain = append(s.chain, next)
		s.follow(cur, next)
	}
	r := s.root()
	if high := s.mem.root(); r.Version < high {
		return &RollbackError{Role: roleRoot, Have: high, Got: r.Version}
	}
	s.cfg.Metrics.role(roleRoot, r.Version, r.Expires)
	if !s.now().Before(r.Expires) {
		return &ExpiredError{Role: roleRoot, Version: r.Version, Expires: r.Expires}
	}
	return nil
}

// knownRoot refuses a root that is not the one remembered at its version.
func (s *Service) knownRoot(r *root) error {
	if have, ok := s.mem.Roots[r.Version]; ok && have != sumOf(r.data) {
		return &DivergedError{Role: roleRoot, Version: r.Version}
	}
	return nil
}

// follow takes a new root into account.
func (s *Service) follow(before, after *root) {
	had := *s.mem
	s.mem.follow(before, after)
	if keysChanged(before, after) && s.mem.Signed.Root < after.Version {
		s.suspect = after.Version
	}
	if had.Timestamp.Version > 0 && s.mem.Timestamp.Version == 0 {
		s.last = nil
	}
	if had.Snapshot.Version > 0 && s.mem.Snapshot.Version == 0 {
		s.snap = nil
	}
}

// keysChanged reports whether a root changes who signs below it, or the layout.
func keysChanged(before, after *root) bool {
	for _, role := range []string{roleTargets, roleSnapshot, roleTimestamp} {
		if before.roles[role].print != after.roles[role].print {
			return true
		}
	}
	return before.Consistent != after.Consistent
}

// outlived reports whether the published timestamp is older than a root that changed
// keys. Agents drop their snapshot and targets at such a root, and fetch them again
// only with a timestamp of a higher version.
func (s *Service) outlived(ctx context.Context) (bool, error) {
	if s.suspect == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StoreTimeout)
	defer cancel()
	rootTime, err := s.cfg.Store.Modified(ctx, versioned(s.suspect, "root.json"))
	if err != nil {
		return false, &StoreError{Err: err}
	}
	tsTime, err := s.cfg.Store.Modified(ctx, "timestamp.json")
	if err != nil {
		return false, &StoreError{Err: err}
	}
	if tsTime.After(rootTime) {
		s.suspect = 0
		return false, nil
	}
	return true, nil
}

func versioned(v int64, name string) string { return strconv.FormatInt(v, 10) + "." + name }

// readTimestamp reads and verifies what is published; nil if nothing is.
func (s *Service) readTimestamp(ctx context.Context) (*published, error) {
	data, etag, date, err := s.get(ctx, "timestamp.json", tuf.MaxTimestamp)
	if err != nil {
		return nil, err
	}
	if err := s.checkClock(date); err != nil {
		return nil, err
	}
	if data == nil {
		return nil, nil
	}
	if etag == "" {
		return nil, &StoreError{Err: errors.New("timestamp.json came without an ETag, so it cannot be replaced without a race")}
	}
	return s.verifyTimestamp(data, etag)
}

// verifyTimestamp accepts a timestamp of the present root, or of an earlier one of
// the chain, as it is after its keys were changed.
func (s *Service) verifyTimestamp(data []byte, etag string) (*published, error) {
	f, err := parse(data, roleTimestamp)
	if err != nil {
		return nil, &UnverifiedError{Role: roleTimestamp, Name: "timestamp.json", Err: err}
	}
	for i := len(s.chain) - 1; i >= 0; i-- {
		if err = s.chain[i].roles[roleTimestamp].verify(f); err == nil {
			return &published{file: f, etag: etag, old: i < len(s.chain)-1}, nil
		}
	}
	return nil, &UnverifiedError{Role: roleTimestamp, Name: "timestamp.json", Err: err}
}

// checkClock compares this machine's clock with the store's, and with the latest time
// that it has shown itself.
func (s *Service) checkClock(date time.Time) error {
	now := s.now()
	if date.IsZero() {
		date = s.latest
		if !now.Before(date) {
			date = now
		}
	}
	if now.Sub(date).Abs() > s.cfg.MaxSkew {
		return &ClockError{Local: now, Other: date}
	}
	s.latest = date
	return nil
}
