package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// servedFlags say how to look at a repository that a server gives out, for commands
// that read.
type servedFlags struct {
	root, caFile, clientCert, clientKey string
}

func (s *servedFlags) add(f *pflag.FlagSet) {
	f.StringVar(&s.root, "root", "", "with a URL: the trusted root.json")
	f.StringVar(&s.caFile, "ca-file", "", "with a URL: PEM certificates to check the server against")
	f.StringVar(&s.clientCert, "client-cert", "", "with a URL: PEM certificate to show the server")
	f.StringVar(&s.clientKey, "client-key", "", "with a URL: PEM key of --client-cert")
}

// needsURL refuses the flags without a URL.
func (s *servedFlags) needsURL() error {
	if *s != (servedFlags{}) {
		return usagef("--root, --ca-file, --client-cert and --client-key go with a URL")
	}
	return nil
}

// served is what a server gives out, checked from a trusted root by package verify;
// no target is fetched.
type served struct {
	report *verify.Report
	// root and targets are nil if they do not verify; the report says why.
	root    *repo.Root
	targets *repo.Targets
}

// isWebRoot reports whether a folder is what a server gives out, without the working
// folder around it: a mirror, or repository/ itself.
func isWebRoot(dir string) bool {
	there := func(elem ...string) bool {
		_, err := os.Stat(filepath.Join(append([]string{dir}, elem...)...))
		return err == nil
	}
	return there("root.json") && !there("repository", "root.json")
}

// pinnedRoot reads --root; a folder may go without, and its oldest root is trusted then.
func (a *app) pinnedRoot(source, file string) ([]byte, error) {
	if file != "" {
		return readRoot(file)
	}
	if strings.Contains(source, "://") {
		return nil, usagef("a URL needs --root FILE: what a server sends cannot say itself that it is to be trusted")
	}
	name, root, err := verify.OldestRoot(source)
	if errors.Is(err, fs.ErrNotExist) {
		what := "no folder"
		if _, err := os.Stat(source); err == nil {
			what = "no root.json in"
		}
		return nil, fmt.Errorf("%w: %s %q", repo.ErrNoRepository, what, source)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", source, err)
	}
	a.note("trusting %s, the oldest root there; --root FILE trusts another", filepath.Join(source, name))
	return root, nil
}

func (a *app) served(ctx context.Context, source string, s servedFlags) (*served, error) {
	if !strings.Contains(source, "://") && !isWebRoot(source) {
		return nil, usagef("%q is no URL; a folder is named with --path", source)
	}
	root, err := a.pinnedRoot(source, s.root)
	if err != nil {
		return nil, err
	}
	report, err := verify.Run(ctx, verify.Options{Source: source, Root: root, MetadataOnly: true,
		CAFile: s.caFile, CertFile: s.clientCert, KeyFile: s.clientKey})
	if errors.Is(err, verify.ErrNoRoot) {
		return nil, usage(err)
	}
	if err != nil {
		return nil, err
	}
	sv := &served{report: report}
	// What cannot be read here is among the findings.
	if data, ok := report.Documents[repo.RoleRoot]; ok {
		sv.root, _ = repo.ReadRoot("root.json", data)
	}
	if data, ok := report.Documents[repo.RoleTargets]; ok && sv.root != nil {
		sv.targets, _ = repo.ReadTargets(sv.root, "targets.json", data)
	}
	return sv, nil
}

// faults counts the errors that are not an expiry: those --fail-within is for.
func (sv *served) faults() (expired, other int) {
	for _, f := range sv.report.Findings {
		switch {
		case f.Severity != verify.Error:
		case f.Code == verify.CodeExpired, f.Code == verify.CodeClient && sv.anyExpired():
			expired++
		default:
			other++
		}
	}
	return expired, other
}

func (sv *served) anyExpired() bool {
	for _, r := range sv.report.Roles {
		if r.Expired {
			return true
		}
	}
	return false
}

// runStatusServed is status of what agents see.
func (a *app) runStatusServed(ctx context.Context, o statusOptions) error {
	sv, err := a.served(ctx, o.url, o.served)
	if err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	res := sv.status(cfg, time.Now())
	if err := a.printStatus(res, o); err != nil {
		return err
	}
	expired, other := sv.faults()
	if other > 0 || expired > 0 && !o.failWithin.given {
		return &unverified{source: sv.report.Source, errors: sv.report.Count(verify.Error)}
	}
	return res.check(o.failWithin)
}

func (sv *served) status(cfg *config.Config, now time.Time) *statusResult {
	res := &statusResult{Schema: 1, Source: sv.report.Source, Consistent: sv.report.ConsistentSnapshot}
	for _, role := range repo.Roles() {
		r, ok := sv.report.Role(role)
		if !ok {
			continue
		}
		rs := newRoleStatus(cfg, role, r.Version, r.Expires, now)
		rs.Threshold, rs.Signed = r.Threshold, r.Signed
		if sv.root != nil {
			for _, k := range sv.root.Keys(role) {
				rs.Keys = append(rs.Keys, keyStatusOf(cfg, k))
			}
		}
		res.Roles = append(res.Roles, rs)
	}
	res.Warnings = res.expiryWarnings(cfg, now)
	for _, f := range sv.report.Findings {
		if f.Code != verify.CodeExpired && f.Severity != verify.Info {
			res.Warnings = append(res.Warnings, f.String())
		}
	}
	res.Next = res.nextExpiries(cfg, now)
	return res
}

// keyStatusOf says of a key what the configuration knows.
func keyStatusOf(cfg *config.Config, k repo.Key) keyStatus {
	ks := keyStatus{KeyID: k.ID, Type: k.Type(), Place: "unknown", Name: cfg.Keys[k.ID].Name}
	if u, ok := cfg.Locations[k.ID]; ok {
		ks.Place = u.String()
	}
	return ks
}
