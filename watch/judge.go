package watch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// seenVersion is a version of a role that an address showed, signed by enough keys.
type seenVersion struct {
	role    string
	version int64
	sum     string // SHA-256 of the bytes
	payload string // SHA-256 of what signatures cover
	expires time.Time
}

func topLevel() []string { return []string{"root", "targets", "snapshot", "timestamp"} }

// rolesOf are the roles that an address shows: the four, and those that targets delegates to.
func rolesOf(r *verify.Report) []string {
	names := topLevel()
	for _, role := range r.Roles {
		if delegated(role.Name) {
			names = append(names, role.Name)
		}
	}
	return names
}

func delegated(role string) bool { return !slices.Contains(topLevel(), role) }

// sights lists what enough keys of the last trusted root signed, and the roots on the way.
func sights(r *verify.Report) []seenVersion {
	var all []seenVersion
	for _, name := range rolesOf(r) {
		role, ok := r.Role(name)
		if !ok || role.Threshold < 1 || role.Signed < role.Threshold {
			continue
		}
		if name == "root" {
			if !broken(r, "root") {
				all = append(all, rootSights(r, role)...)
			}
			continue
		}
		a := r.Answers[role.File]
		all = append(all, seenVersion{name, role.Version, a.SHA256, a.Payload, role.Expires})
	}
	return all
}

func rootSights(r *verify.Report, last verify.Role) []seenVersion {
	var all []seenVersion
	for _, v := range r.Roots {
		a, ok := r.Answers[strconv.FormatInt(v, 10)+".root.json"]
		if ok && a.Err == nil && v <= last.Version {
			all = append(all, seenVersion{"root", v, a.SHA256, a.Payload, last.Expires})
		}
	}
	return all
}

// broken: there is an error about a role's file that agents refuse it for.
func broken(r *verify.Report, role string) bool {
	for _, f := range r.Findings {
		if f.Role == role && kindOf(f) == Refused {
			return true
		}
	}
	return false
}

// kindOf says what a finding of verify is here, "" for nothing that the watch tells.
func kindOf(f verify.Finding) Kind {
	if f.Code == verify.CodePinnedDiffers {
		return Differs
	}
	if f.Severity != verify.Error {
		return ""
	}
	switch f.Code {
	case verify.CodeExpired:
		return Expired
	case verify.CodeNextRoot:
		return NextRoot
	case verify.CodeMetaVersion, verify.CodeMetaLength, verify.CodeMetaHash, verify.CodeContentLength, verify.CodeRootCopy, verify.CodeCopy:
		return Mixed
	case verify.CodeMissing:
		if f.Role == "snapshot" || f.Role == "targets" {
			return Mixed
		}
	case verify.CodeTargetMissing, verify.CodeTargetHash, verify.CodeTargetLength, verify.CodeTargetHashName:
		return OtherContent
	}
	return Refused
}

// judge gives what is wrong at one address.
func (s *Service) judge(now time.Time, l look) []Finding {
	if l.err != nil {
		return []Finding{finding(Unreachable, l.name, "", 0, "%v", l.err)}
	}
	found := fromReport(l)
	found = append(found, l.faults...)
	found = append(found, s.wentBack(l)...)
	for _, seen := range sights(l.report) {
		found = append(found, s.differs(l.name, seen)...)
		found = append(found, s.leaps(l.name, seen)...)
		found = append(found, s.notOurs(now, l, seen)...)
		if left := seen.expires.Sub(now); left > 0 && left < s.early(seen.role) && latest(l.report, seen) {
			found = append(found, finding(ExpiresSoon, l.name, seen.role, seen.version, "expires %s, in %s", seen.expires.UTC().Format(time.RFC3339), days(left)))
		}
	}
	return found
}

// early is when to warn of an expiry: what the configuration says, but not before a third of
// the validity is left, if somebody saw how long it is.
func (s *Service) early(role string) time.Duration {
	early := s.cfg.Early(role)
	if delegated(role) {
		early = s.cfg.Early("targets") // agents that have stored it fail as they do then
	}
	if v := s.mem.role(role).Validity; v > 0 {
		early = min(early, v/3)
	}
	return early
}

// latest: of the roots on the way only the last one's expiry counts.
func latest(r *verify.Report, seen seenVersion) bool {
	role, _ := r.Role(seen.role)
	return role.Version == seen.version
}

// fromReport turns what verify found into findings of ours. What its second client says is
// told only if nothing else tells why.
func fromReport(l look) []Finding {
	var found []Finding
	var client *verify.Finding
	errors := 0
	for _, f := range l.report.Findings {
		kind := kindOf(f)
		if kind == "" {
			continue
		}
		if f.Code == verify.CodeClient {
			client = &f
			continue
		}
		if f.Severity == verify.Error {
			errors++
		}
		role, _ := l.report.Role(f.Role)
		text := f.Text
		if f.File != "" {
			text = fmt.Sprintf("%q: %s", f.File, text)
		}
		one := finding(kind, l.name, f.Role, role.Version, "%s", text)
		one.patient = f.Code == verify.CodeRootCopy || f.Code == verify.CodeCopy
		found = append(found, one)
	}
	if client != nil && errors == 0 {
		found = append(found, finding(Refused, l.name, "", 0, "%s", client.Text))
	}
	return found
}

func (s *Service) wentBack(l look) []Finding {
	var found []Finding
	m := s.mem.address(l.name)
	for _, name := range rolesOf(l.report) {
		role, ok := l.report.Role(name)
		if ok && role.Version > 0 && role.Version < m.Highest[name] {
			found = append(found, finding(WentBack, l.name, name, role.Version, "version %d is shown, and it was %d before", role.Version, m.Highest[name]))
		}
	}
	return found
}

func (s *Service) differs(address string, seen seenVersion) []Finding {
	first, ok := s.mem.role(seen.role).Seen[seen.version]
	if !ok {
		// What another address shows in this very poll counts too.
		s.mem.role(seen.role).Seen[seen.version] = sight{seen.sum, address, s.now().UTC()}
		return nil
	}
	if first.SHA256 == seen.sum {
		return nil
	}
	return []Finding{finding(Differs, address, seen.role, seen.version, "%s v%d has other bytes (SHA-256 %.16s..) than %q showed on %s (%.16s..)", seen.role, seen.version, seen.sum, first.Address, first.At.Format("2006-01-02 15:04"), first.SHA256)}
}

// mostAtOnce is how far a version may rise between two polls.
const mostAtOnce = 10000

func (s *Service) leaps(address string, seen seenVersion) []Finding {
	h := s.mem.role(seen.role)
	before := h.Highest
	if before == 0 {
		before = 1 << 32 // nobody watched yet; nobody signs so often either
	}
	// Once it is the highest, it stays a leap above what was there first.
	if seen.version-before <= mostAtOnce && seen.version-h.First <= 1<<32 {
		return nil
	}
	return []Finding{finding(Leap, address, seen.role, seen.version, "version %d follows on %d", seen.version, h.Highest)}
}

// behind compares the addresses with each other.
func (s *Service) behind(now time.Time, looks []look) []Finding {
	var found []Finding
	for _, l := range looks {
		if l.err != nil {
			continue
		}
		for _, name := range rolesOf(l.report) {
			role, ok := l.report.Role(name)
			h := s.mem.role(name)
			late := now.Sub(h.Since)
			if ok && role.Version > 0 && role.Version < h.Highest && late >= s.cfg.Delay && role.Version >= s.mem.address(l.name).Highest[name] {
				found = append(found, finding(StandsStill, l.name, name, role.Version, "version %d is shown, and %d is %s old", role.Version, h.Highest, days(late)))
			}
		}
	}
	return found
}

func finding(k Kind, address, role string, version int64, format string, args ...any) Finding {
	return Finding{Kind: k, Level: levelOf(k), Address: address, Role: role, Version: version, Text: strings.TrimSpace(fmt.Sprintf(format, args...))}
}

// days writes a time left as people say it.
func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return d.Round(time.Minute).String()
}
