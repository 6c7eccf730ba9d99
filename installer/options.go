package installer

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Types that are made here, as fleetctl names them.
const (
	Deb  = "deb"
	RPM  = "rpm"
	Arch = "pkg.tar.zst"
)

// Types lists what is made here.
func Types() []string { return []string{Deb, RPM, Arch} }

// elsewhere are types that only fleetctl makes.
func elsewhere() []string { return []string{"pkg", "msi"} }

// Arches lists the processors.
func Arches() []string { return []string{"amd64", "arm64"} }

// DefaultInterval is how often agents look for updates.
const DefaultInterval = 15 * time.Minute

// Options are what a person asked for. Flags are named as fleetctl names them.
type Options struct {
	Types  []string
	Arches []string
	// UpdateURL and FleetURL are where the agent finds its updates and its server.
	UpdateURL, FleetURL string
	// EnrollSecret is empty for a package without one.
	EnrollSecret string

	OrbitChannel, OsquerydChannel, DesktopChannel string
	Desktop                                       bool
	BrowserHost                                   string
	UpdateInterval                                time.Duration
	DisableUpdates                                bool
	FleetCertificate, UpdateCertificate           string // files
	OsqueryFlags                                  string // a file
	EnableScripts                                 bool
	HostIdentifier                                string
	OsqueryDB, EndUserEmail                       string
	Insecure, Debug                               bool

	// Version is that of the package; empty takes orbit's.
	Version string
	// Outfile names the one file; empty puts files of the usual names into the
	// working folder.
	Outfile string
	// Built is the time inside.
	Built time.Time
}

// Check refuses what cannot be, before anything is read. Errors: *Error.
func (o *Options) Check() error {
	for _, check := range []func() error{o.checkURLs, o.checkExclusive, o.checkChannels, o.checkSettings, o.checkTypes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) checkTypes() error {
	if len(o.Types) == 0 {
		return wrong("--type", "is missing: %s (pkg and msi are fleetctl's)", strings.Join(Types(), ", "))
	}
	for i, t := range o.Types {
		switch {
		case slices.Contains(elsewhere(), t):
			return &Error{Kind: Elsewhere, About: fmt.Sprintf("--type %s", t), Text: "is made by fleetctl package alone, which needs this root"}
		case !slices.Contains(Types(), t):
			return wrong("--type", "%q is none of %s, pkg, msi", t, strings.Join(Types(), ", "))
		case slices.Contains(o.Types[:i], t):
			return wrong("--type", "names %q twice", t)
		}
	}
	if len(o.Arches) == 0 {
		return wrong("--arch", "is missing: amd64 or arm64")
	}
	for i, a := range o.Arches {
		switch {
		case !slices.Contains(Arches(), a):
			return wrong("--arch", "%q is neither amd64 nor arm64", a)
		case slices.Contains(o.Arches[:i], a):
			return wrong("--arch", "names %q twice", a)
		}
	}
	if o.Outfile != "" && len(o.Types)*len(o.Arches) > 1 {
		return wrong("--outfile", "names one file, and %d are made; leave it out", len(o.Types)*len(o.Arches))
	}
	return nil
}

func (o *Options) checkURLs() error {
	if o.UpdateURL == "" {
		return wrong("--update-url", "is missing: where hosts fetch their updates")
	}
	u, err := checkURL("--update-url", o.UpdateURL)
	if err != nil {
		return err
	}
	// Agents put a slash and the name behind it.
	o.UpdateURL = strings.TrimRight(u.String(), "/")
	if o.FleetURL == "" {
		return nil
	}
	if u, err = checkURL("--fleet-url", o.FleetURL); err != nil {
		return err
	}
	if strings.Trim(u.Path, "/") != "" {
		return wrong("--fleet-url", "%q has a path; the agent wants the server alone: %s://%s", o.FleetURL, u.Scheme, u.Host)
	}
	o.FleetURL = u.Scheme + "://" + u.Host
	return nil
}

func checkURL(flag, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, wrong(flag, "%q is not a URL", s)
	case !strings.Contains(s, "://"):
		return nil, wrong(flag, "%q has no scheme; did you mean https://%s?", s, s)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, wrong(flag, "%q is not https://HOST", u.Redacted())
	case u.User != nil:
		return nil, wrong(flag, "%q holds a name or password, which every host would show; leave it out", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, wrong(flag, "%q has a query or fragment, and agents put names of files behind it; leave it out", u.Redacted())
	}
	return u, nil
}

func (o *Options) checkExclusive() error {
	for _, pair := range []struct {
		a, b bool
		text string
	}{
		{o.Insecure, o.FleetCertificate != "", "--insecure and --fleet-certificate"},
		{o.Insecure, o.UpdateCertificate != "", "--insecure and --update-tls-certificate"},
		{o.BrowserHost != "", !o.Desktop, "--fleet-desktop-alternative-browser-host without --fleet-desktop"},
	} {
		if pair.a && pair.b {
			return &Error{Kind: Exclusive, About: pair.text, Text: "contradict each other"}
		}
	}
	return nil
}

// element is one part of a target path.
var element = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]*$`) })

func (o *Options) checkChannels() error {
	for _, c := range []struct{ flag, value string }{
		{"--orbit-channel", o.OrbitChannel}, {"--osqueryd-channel", o.OsquerydChannel}, {"--desktop-channel", o.DesktopChannel},
	} {
		if !element().MatchString(c.value) {
			return wrong(c.flag, "%q is not a channel, such as stable, edge or 1.2.3", c.value)
		}
	}
	return nil
}

// packageVersion is what dpkg, rpm and pacman take.
var packageVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9][A-Za-z0-9.+~-]*$`) })

func (o *Options) checkSettings() error {
	if o.Version != "" && !packageVersion().MatchString(o.Version) {
		return wrong("--version", "%q begins with no digit, or has other characters than letters, digits and .+~-", o.Version)
	}
	if o.UpdateInterval <= 0 {
		return wrong("--update-interval", "is longer than 0, such as 15m")
	}
	for _, v := range []struct{ flag, value string }{
		{"--enroll-secret-file", o.EnrollSecret}, {"--host-identifier", o.HostIdentifier}, {"--osquery-db", o.OsqueryDB},
		{"--end-user-email", o.EndUserEmail}, {"--fleet-desktop-alternative-browser-host", o.BrowserHost},
	} {
		// systemd ignores a line that is no UTF-8.
		if !utf8.ValidString(v.value) || strings.ContainsFunc(v.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return wrong(v.flag, "gives more than one line, a control character or no UTF-8")
		}
	}
	return nil
}
