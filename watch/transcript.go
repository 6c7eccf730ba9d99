package watch

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
)

// logs are the transcripts, joined.
type logs struct {
	files map[string]fs.FileInfo // as they were when they were read
	read  []*log
}

// log is what matters of one transcript.
type log struct {
	err error
	// sums are the payloads that it names, by role and version; published are versions of
	// which it says only that they were published.
	sums      map[entry]map[string]bool
	published map[entry]bool
	first     map[string]int64
	online    bool // the unattended signer wrote it
	last      goodTimestamp
}

type entry struct {
	role    string
	version int64
}

// readLogs reads the transcripts that have changed, and gives what is wrong with them.
func (s *Service) readLogs() []Finding {
	var found []Finding
	if s.logs.files == nil {
		s.logs.files = map[string]fs.FileInfo{}
		s.logs.read = make([]*log, len(s.cfg.Transcripts))
	}
	for i, file := range s.cfg.Transcripts {
		info, err := os.Stat(file)
		if err != nil {
			s.logs.read[i], s.logs.files[file] = &log{err: err}, nil
		} else if before := s.logs.files[file]; before == nil || !same(before, info) {
			s.logs.read[i], s.logs.files[file] = readLog(file), info
		}
		if err := s.logs.read[i].err; err != nil {
			found = append(found, finding(NoTranscript, "", "", 0, "%v", err))
		}
	}
	return found
}

func same(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

func readLog(file string) *log {
	l := &log{sums: map[entry]map[string]bool{}, published: map[entry]bool{}, first: map[string]int64{}}
	events, _, err := ceremony.ReadTranscript(file)
	if err != nil {
		l.err = err
		return l
	}
	for _, e := range events {
		l.take(e)
	}
	return l
}

func (l *log) take(e ceremony.Event) {
	l.online = l.online || e.Event == ceremony.EventStart && e.Command == "online"
	if e.Event == ceremony.EventSignature {
		at := entry{e.Role, e.Version}
		if l.sums[at] == nil {
			l.sums[at] = map[string]bool{}
		}
		l.sums[at][e.SHA256] = true
		l.begins(at)
		if e.Role == "timestamp" && e.Version > l.last.Version {
			l.last = goodTimestamp{Version: e.Version, At: e.Time}
		}
	}
	for role, v := range e.Published {
		at := entry{role, v}
		l.published[at] = true
		l.begins(at)
	}
}

func (l *log) begins(at entry) {
	if f := l.first[at.role]; f == 0 || at.version < f {
		l.first[at.role] = at.version
	}
}

// usable: every transcript could be read. Without one of them nobody can be accused.
func (s *Service) usable() bool {
	for _, l := range s.logs.read {
		if l.err != nil {
			return false
		}
	}
	return len(s.logs.read) > 0
}

// signedByUs: a transcript names the payload, or says that the version was published and
// none says with which payload.
func (s *Service) signedByUs(seen seenVersion) bool {
	at := entry{seen.role, seen.version}
	named, published := false, false
	for _, l := range s.logs.read {
		if l.sums[at][seen.payload] {
			return true
		}
		named = named || len(l.sums[at]) > 0
		published = published || l.published[at]
	}
	return published && !named
}

// covered: the transcripts should name this version.
func (s *Service) covered(seen seenVersion) bool {
	var first int64
	for _, l := range s.logs.read {
		if f := l.first[seen.role]; f > 0 && (first == 0 || f < first) {
			first = f
		}
	}
	if first > 0 && seen.version >= first {
		return true
	}
	people := seen.role != "snapshot" && seen.role != "timestamp"
	began := s.mem.role(seen.role).First
	return (people || first > 0) && began > 0 && seen.version > began
}

// notOurs is a version that somebody else signed.
func (s *Service) notOurs(now time.Time, l look, seen seenVersion) []Finding {
	if !s.usable() || s.signedByUs(seen) {
		if seen.role == "timestamp" {
			s.goodTimestamp(now, l, seen)
		}
		return nil
	}
	if !s.covered(seen) {
		return nil
	}
	text := fmt.Sprintf("%s v%d is signed by enough keys, and no transcript names it (SHA-256 of what is signed: %.16s..): whoever signed it holds the keys", seen.role, seen.version, seen.payload)
	if seen.role == "timestamp" {
		if s.due(now, l, seen) {
			s.goodTimestamp(now, l, seen)
			return nil
		}
		if !s.signerLogs() {
			text += "; none was due. If the unattended signer made it, give its transcript too"
		}
	}
	return []Finding{finding(NotOurs, l.name, seen.role, seen.version, "%s", text)}
}

// signerLogs: the unattended signer's transcript is among them.
func (s *Service) signerLogs() bool {
	for _, l := range s.logs.read {
		if l.online {
			return true
		}
	}
	return false
}

func (s *Service) goodTimestamp(now time.Time, l look, seen seenVersion) {
	if seen.version <= s.mem.Good.Version {
		return
	}
	snapshot, _ := l.report.Role("snapshot")
	s.mem.Good = goodTimestamp{seen.version, snapshot.Version, now.UTC()}
}

// due: an honest signer that logs nothing could have made this timestamp since the last one
// that is known to be ours: one for each new snapshot, and one whenever 40 % of the validity
// is over, by default it renews at half.
func (s *Service) due(now time.Time, l look, seen seenVersion) bool {
	if s.signerLogs() {
		return false
	}
	good := s.mem.Good
	for _, t := range s.logs.read {
		if t.last.Version > good.Version {
			good = goodTimestamp{t.last.Version, good.Snapshot, t.last.At}
		}
	}
	if seen.version < good.Version || seen.version == s.mem.Good.Version {
		return true // no agent goes back to it; or it was judged when it was new
	}
	if good.Version == 0 {
		return true
	}
	snapshot, _ := l.report.Role("snapshot")
	allowed := int64(0)
	if good.Snapshot > 0 {
		allowed = max(0, snapshot.Version-good.Snapshot)
	}
	if validity := seen.expires.Sub(now); validity > 0 {
		allowed += int64(now.Sub(good.At) * 5 / (2 * validity))
	}
	return seen.version-good.Version <= allowed
}
