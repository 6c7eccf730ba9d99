package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/doctor"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

type verifyOptions struct {
	root                string
	everyRoot, all      bool
	at                  string
	caFile              string
	clientCert, certKey string
	workers             int
	files               []string
	attestations        bool
	attestationCA       string
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [DIR|URL]",
		Short: "Act as a client: check what is published from a trusted root to the targets",
		Long: `verify walks as a client does, and checks besides what Fleet's deployed agents
insist on. It shares no code with what writes repositories. For a folder, the oldest
N.root.json in it is trusted unless --root names another; a URL (https://, or s3:// for
the bucket behind it) demands --root. Exit 4 if anything is wrong; every finding is
listed.

--file asks whether a file that you got elsewhere is signed: metadata alone is verified,
and must name a target of the file's bytes.`,
		Example: `  fleet-hsm verify --all-targets
  fleet-hsm verify --attestations
  fleet-hsm verify metadata --root root.json --file fleet-hsm_1.0.0_linux_amd64.tar.gz
  fleet-hsm verify https://updates.example.com --root root.json --at +14d`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runVerify(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "trusted root.json")
	f.BoolVar(&o.everyRoot, "from-every-root", false, "begin at every root that exists, as agents of every age do")
	f.StringVar(&o.at, "at", "", "judge expiry at this moment: +14d, or 2027-01-31")
	f.BoolVar(&o.all, "all-targets", false, "read and hash every target")
	f.Var((*many)(&o.files), "file", "is this file a target? content is not looked for (may be given more than once)")
	f.IntVar(&o.workers, "workers", 0, "how many targets to read at once (default: one per processor)")
	f.BoolVar(&o.attestations, "attestations", false, "check that the stored attestations prove on which card every root key was born")
	f.StringVar(&o.attestationCA, "attestation-ca", "", "PEM certificates that an attestation may lead to besides Yubico's")
	f.StringVar(&o.caFile, "ca-file", "", "PEM certificates to check the server against")
	f.StringVar(&o.clientCert, "client-cert", "", "PEM certificate to show the server")
	f.StringVar(&o.certKey, "client-key", "", "PEM key of --client-cert")
	return cmd
}

type verifyResult struct {
	Schema int `json:"schema"`
	*verify.Report
	OK     bool                `json:"ok"`
	Signed []verify.SignedFile `json:"signed,omitempty"`
}

func (a *app) runVerify(ctx context.Context, args []string, o verifyOptions) error {
	opts, err := a.verifyOptions(args, o)
	if err != nil {
		return err
	}
	keys, err := a.keychain()
	if err != nil {
		return err
	}
	extra, err := keys.AttestationRoots(o.attestationCA)
	if err != nil {
		return err
	}
	bar := a.progress("hashing targets")
	opts.Progress = func(p verify.Progress) { bar.Draw(p.Bytes, p.TotalBytes) }
	report, err := verify.Run(ctx, opts)
	bar.End()
	if errors.Is(err, verify.ErrNoRoot) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if o.attestations {
		found, err := a.attestations(opts.Source, extra)
		if err != nil {
			return err
		}
		report.Findings = append(found, report.Findings...)
	}
	signed, err := report.SignedFiles(o.files)
	if err != nil {
		return err
	}
	if err := a.print(verifyResult{1, report, report.OK(), signed}, func(w *prompt.Writer) {
		showReport(w, report)
		showSignedFiles(w, signed)
	}); err != nil {
		return err
	}
	if !report.OK() {
		return &remote.UnverifiedError{Report: report}
	}
	return nil
}

// attestations are verify's findings about the stored attestations.
func (a *app) attestations(source string, extra []byte) ([]verify.Finding, error) {
	keys, err := a.plain()
	if err != nil {
		return nil, err
	}
	return doctor.Attestations(keys, source, extra)
}

func (a *app) verifyOptions(args []string, o verifyOptions) (verify.Options, error) {
	opts := verify.Options{
		Source: a.within("repository"), FromEveryRoot: o.everyRoot, AllTargets: o.all, Workers: o.workers,
		MetadataOnly: len(o.files) > 0,
		CAFile:       o.caFile, CertFile: o.clientCert, KeyFile: o.certKey,
	}
	if len(args) == 1 {
		opts.Source = args[0]
	}
	var err error
	if opts.At, err = parseMoment(o.at, time.Now()); err != nil {
		return opts, usage(fmt.Errorf("--at: %w", err))
	}
	if o.all && opts.MetadataOnly {
		return opts, usagef("--file looks at metadata and the file alone; leave --all-targets out")
	}
	if o.attestations && strings.Contains(opts.Source, "://") {
		return opts, usagef("--attestations needs the folder: attestations are not published")
	}
	if opts.Root, err = a.pinnedRoot(opts.Source, o.root); err != nil {
		return opts, err
	}
	return remote.Reading(opts)
}

// parseMoment reads "+14d" (or "14d"), a date, or a time; empty is the zero time.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := config.ParseDuration(s); err == nil || strings.HasPrefix(s, "+") {
		return now.Add(d), err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither +DURATION nor a date such as 2027-01-31", s)
}

// contentRead says how much of the content the verdict is about.
func contentRead(r *verify.Report) string {
	if r.Files == 0 && r.Targets > 0 {
		return "0 bytes of content were read; --all-targets reads and hashes all of it"
	}
	return fmt.Sprintf("%d bytes of content were read in %d file(s)", r.Bytes, r.Files)
}

func showReport(w *prompt.Writer, r *verify.Report) {
	for _, role := range r.Roles {
		state := "in " + config.DaysUntil(role.Expires)
		if role.Expired {
			state = "EXPIRED"
		}
		w.Printf("%-9s v%-5d %d of %d signatures  expires %s (%s)\n", role.Name, role.Version, role.Signed, role.Threshold,
			role.Expires.UTC().Format("2006-01-02"), state)
	}
	w.Printf("targets   %d", r.Targets)
	if r.Files > 0 {
		w.Printf(", %s hashed in %d files", prompt.Size(r.Bytes), r.Files)
	}
	w.Printf("\n")
	for _, f := range r.Findings {
		w.Printf("%s\n", f)
	}
	if r.OK() {
		w.Printf("verified from root v%d; %s\n", r.PinnedRoot, contentRead(r))
	}
}

func showSignedFiles(w *prompt.Writer, files []verify.SignedFile) {
	for _, f := range files {
		for _, target := range f.Targets {
			w.Printf("signed: %q has the bytes of target %q\n", f.File, target)
		}
	}
}
