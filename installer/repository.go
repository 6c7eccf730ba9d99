package installer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Days is how long metadata must still be good, by role; a role that is missing needs to
// be good now.
type Days map[string]int

// DefaultDays: a root lives for years and is pinned, a timestamp for days and is renewed.
func DefaultDays() Days {
	return Days{"root": 90, "snapshot": 7, "targets": 7, "timestamp": 7}
}

// ParseDays reads --min-days: days for all roles, or ROLE=DAYS for one; the others stay at
// their defaults.
func ParseDays(given []string) (Days, error) {
	least := DefaultDays()
	for _, s := range given {
		role, n, one := strings.Cut(s, "=")
		if !one {
			role, n = "", s
		}
		days, err := strconv.Atoi(n)
		if _, ok := least[role]; err != nil || days < 0 || one && !ok {
			return nil, misuse.Errorf("--min-days: %q is neither a number of days nor ROLE=DAYS, such as root=90", s)
		}
		for known := range least {
			if !one || known == role {
				least[known] = days
			}
		}
	}
	return least, nil
}

// Repository is what an agent accepts, at one moment.
type Repository struct {
	from    verify.Options
	report  *verify.Report
	targets map[string]verify.Named
}

// tolerated are findings that stop no agent: they are about targets that need not be
// among those that are packaged, which are looked at by themselves.
func tolerated(c verify.Code) bool {
	switch c {
	case verify.CodeTargetVersion, verify.CodeSHA512, verify.CodeTargetParts, verify.CodeTargetName, verify.CodeRootCopy:
		return true
	}
	return false
}

// Read looks at a repository as an agent does: from.Source, from the pinned from.Root.
// Errors: *Error, or what verify.Run answers.
func Read(ctx context.Context, from verify.Options, least Days) (*Repository, error) {
	from.MetadataOnly = true
	report, err := verify.Run(ctx, from)
	if err != nil {
		return nil, err
	}
	for _, f := range report.Findings {
		if f.Code == verify.CodePinnedDiffers {
			return nil, &Error{Kind: OtherRepository, About: "the trusted root", Text: fmt.Sprintf("is of another repository than %q: its %q does not match", from.Source, f.File)}
		}
	}
	if err := judge(report, least); err != nil {
		return nil, err
	}
	return &Repository{from: from, report: report, targets: report.Named()}, nil
}

// judge gives the first reason not to package what was read. What is expired comes
// first: everything else that is said then follows from it.
func judge(r *verify.Report, least Days) error {
	for _, role := range r.Roles {
		if role.Expired {
			return &Error{Kind: Expired, About: role.Name, Role: role.Name, Text: fmt.Sprintf("version %d expired %s ago; agents refuse it", role.Version, days(r.At.Sub(role.Expires)))}
		}
	}
	for _, f := range r.Findings {
		if f.Severity == verify.Error && !tolerated(f.Code) {
			return &Error{Kind: Refused, About: fmt.Sprintf("%q", r.Source), Text: "is refused by agents", Err: fmt.Errorf("%s", f)}
		}
	}
	for _, role := range r.Roles {
		need := time.Duration(least[role.Name]) * 24 * time.Hour
		if left := role.Expires.Sub(r.At); left < need {
			return &Error{Kind: ExpiresSoon, About: role.Name, Role: role.Name,
				Text: fmt.Sprintf("version %d expires in %s, and --min-days wants %d days: it would be expired by the time that hosts install the package", role.Version, days(left), least[role.Name])}
		}
	}
	return nil
}

func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	}
	return d.Round(time.Minute).String()
}

// Versions gives those of root, targets, snapshot and timestamp.
func (r *Repository) Versions() map[string]int64 { return versionsOf(r.report) }

func versionsOf(r *verify.Report) map[string]int64 {
	v := map[string]int64{}
	for _, role := range r.Roles {
		v[role.Name] = role.Version
	}
	return v
}

// Stale is the role that expires first of those that are not renewed every few days, and
// when: a host that installs the package later depends on newer metadata.
func (r *Repository) Stale() (role string, at time.Time) {
	for _, x := range r.report.Roles {
		if x.Name != "timestamp" && (at.IsZero() || x.Expires.Before(at)) {
			role, at = x.Name, x.Expires
		}
	}
	return role, at
}

// Source is where it was read.
func (r *Repository) Source() string { return r.report.Source }

// Compare looks at what a URL serves: it must be this repository, in the same versions;
// only the timestamp may be newer. served says how to reach it; its root is ours.
func (r *Repository) Compare(ctx context.Context, served verify.Options) error {
	served.Root, served.MetadataOnly = r.report.Documents["root"], true
	report, err := verify.Run(ctx, served)
	if err != nil {
		return err
	}
	about := fmt.Sprintf("%q", served.Source)
	for _, f := range report.Findings {
		if f.Code == verify.CodePinnedDiffers {
			return &Error{Kind: OtherRepository, About: about, Text: fmt.Sprintf("serves another repository: its %q is not the one of %q", f.File, r.Source())}
		}
	}
	for _, f := range report.Findings {
		if f.Code == verify.CodeThreshold && f.Role == "timestamp" {
			return &Error{Kind: OtherRepository, About: about, Err: fmt.Errorf("%s", f),
				Text: fmt.Sprintf("serves what root version %d of %q did not sign: another repository, or an older state of this one", r.Versions()["root"], r.Source())}
		}
	}
	if err := r.compareVersions(about, versionsOf(report)); err != nil {
		return err
	}
	return judge(report, nil)
}

func (r *Repository) compareVersions(about string, there map[string]int64) error {
	here := r.Versions()
	if len(there) < len(here) {
		return nil // judge says what is missing
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		text := fmt.Sprintf("serves %s version %d, and %q has %d", role, there[role], r.Source(), here[role])
		switch {
		case there[role] < here[role]:
			return &Error{Kind: Behind, About: about, Role: role, Text: text}
		case there[role] > here[role] && role != "timestamp":
			return &Error{Kind: Ahead, About: about, Role: role, Text: text}
		}
	}
	return nil
}
