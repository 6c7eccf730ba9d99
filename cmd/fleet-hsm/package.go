package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/installer"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

type packageOptions struct {
	installer.Options
	root, roots        string
	secretFile, secret string
	interval           config.Duration
	minDays            []string
	offline            bool
}

func (a *app) packageCommand() *cobra.Command {
	o := packageOptions{interval: config.Duration(installer.DefaultInterval)}
	cmd := &cobra.Command{
		Use:   "package",
		Short: "Make the agent's installer for Linux hosts, with this repository's root inside",
		Long: `package makes a .deb, .rpm or .pkg.tar.zst of Fleet's agent that trusts this repository:
the root is inside, and so is the address it is served at. The bytes come from the
folder --path, or, with --root and no repository there, from --update-url; they are
verified as an agent does it. What agents would refuse, what expires soon (--min-days)
and a URL that serves something else are refused, and nothing is left behind.

A package holds an enroll secret only if --enroll-secret-file FILE ("-" asks at the
terminal) or the variable FLEET_ENROLL_SECRET gives one.`,
		Example: `  fleet-hsm package --type deb --update-url https://updates.example.com --fleet-url https://fleet.example.com --enroll-secret-file secret
  fleet-hsm package --type deb,rpm --arch amd64,arm64 --update-url https://updates.example.com --root root.json
  fleet-hsm package inspect fleet-osquery_1.2.3_amd64.deb`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runPackage(cmd, o) },
	}
	f := cmd.Flags()
	o.add(f)
	cmd.AddCommand(a.packageInspectCommand())
	return cmd
}

func (o *packageOptions) add(f *pflag.FlagSet) {
	f.StringSliceVar(&o.Types, "type", nil, "deb, rpm or pkg.tar.zst; several with commas (pkg and msi: the fleetctl line is printed)")
	f.StringSliceVar(&o.Arches, "arch", []string{"amd64"}, "amd64 or arm64; both with a comma")
	f.StringVar(&o.UpdateURL, "update-url", "", "where hosts fetch updates")
	f.StringVar(&o.root, "root", "", "trusted root.json to begin with (default for a folder: the oldest there)")
	f.StringVar(&o.roots, "update-roots", "", "the text of that root.json, as fleetctl wants it")
	f.BoolVar(&o.offline, "offline", false, "do not look whether --update-url serves this repository")
	f.StringSliceVar(&o.minDays, "min-days", nil, "refuse what expires within these days: N, or ROLE=N (default root=90, others 7)")
	f.StringVar(&o.FleetURL, "fleet-url", "", "Fleet's server, https://HOST")
	f.StringVar(&o.secretFile, "enroll-secret-file", "", `file with the enroll secret; "-" asks`)
	f.StringVar(&o.secret, "enroll-secret", "", "the enroll secret itself, which every process can read here: use --enroll-secret-file")
	f.StringVar(&o.OrbitChannel, "orbit-channel", "stable", "channel of orbit")
	f.StringVar(&o.OsquerydChannel, "osqueryd-channel", "stable", "channel of osqueryd")
	f.StringVar(&o.DesktopChannel, "desktop-channel", "stable", "channel of desktop")
	f.BoolVar(&o.Desktop, "fleet-desktop", false, "include Fleet Desktop")
	f.StringVar(&o.BrowserHost, "fleet-desktop-alternative-browser-host", "", "host that Fleet Desktop's links lead to")
	f.Var(&o.interval, "update-interval", "how often hosts look for updates")
	f.BoolVar(&o.DisableUpdates, "disable-updates", false, "hosts keep what is in the package")
	f.StringVar(&o.FleetCertificate, "fleet-certificate", "", "PEM certificates to check Fleet's server against")
	f.StringVar(&o.UpdateCertificate, "update-tls-certificate", "", "PEM certificates to check the update server against")
	f.StringVar(&o.OsqueryFlags, "osquery-flagfile", "", "file with osquery's flags")
	f.BoolVar(&o.EnableScripts, "enable-scripts", false, "hosts run scripts that Fleet sends")
	f.StringVar(&o.HostIdentifier, "host-identifier", "uuid", "how hosts name themselves: uuid or instance")
	f.StringVar(&o.OsqueryDB, "osquery-db", "", "folder of osquery's database on hosts")
	f.StringVar(&o.EndUserEmail, "end-user-email", "", "e-mail address of the host's user")
	f.BoolVar(&o.Insecure, "insecure", false, "hosts take whatever certificate a server shows")
	f.BoolVar(&o.Debug, "debug", false, "hosts log more")
	f.StringVar(&o.Version, "version", "", "version of the package (default: orbit's)")
	f.StringVar(&o.Outfile, "outfile", "", "file to write (default: of the usual name, here)")
}

// packageResult is package with --json.
type packageResult struct {
	Schema   int              `json:"schema"`
	Source   string           `json:"source"`
	Versions map[string]int64 `json:"versions"`
	// Served says whether --update-url was looked at.
	Served   bool             `json:"served"`
	Stale    time.Time        `json:"stale"`
	StaleFor string           `json:"stale_role"`
	Secret   bool             `json:"enroll_secret"`
	Packages []installer.Made `json:"packages"`
}

func (a *app) runPackage(cmd *cobra.Command, o packageOptions) error {
	ctx := cmd.Context()
	least, err := installer.ParseDays(o.minDays)
	if err != nil {
		return err
	}
	o.UpdateInterval = time.Duration(o.interval)
	if o.Built, err = installer.BuildTime(a.now()); err != nil {
		return err
	}
	if len(o.Elsewhere()) > 0 {
		return a.fleetctlLine(&o)
	}
	if err := a.enrollSecret(ctx, &o); err != nil {
		return err
	}
	if err := o.Check(); err != nil {
		return err
	}
	from, err := a.packageSource(&o, cmd.Flags().Changed("path"))
	if err != nil {
		return err
	}
	r, err := installer.Read(ctx, from, least)
	if err != nil {
		return err
	}
	served, err := a.compareServed(ctx, r, from, &o)
	if err != nil {
		return err
	}
	bar := a.progress("bringing content")
	made, err := installer.Build(ctx, r, o.Options, bar.Draw)
	bar.End()
	if err != nil {
		return err
	}
	res := packageResult{Schema: 1, Source: r.Source(), Versions: r.Versions(), Served: served, Secret: o.EnrollSecret != "", Packages: made}
	res.StaleFor, res.Stale = r.Stale()
	a.sayPackaged(res)
	return a.print(res, func(w *prompt.Writer) {
		for _, m := range made {
			w.Printf("%s  %s\n", m.SHA256, m.File)
		}
	})
}

// sayPackaged says what holds for the packages that were made.
func (a *app) sayPackaged(res packageResult) {
	for _, m := range res.Packages {
		var parts []string
		for _, c := range m.Components {
			parts = append(parts, c.Name+" "+c.Version)
		}
		a.note("%s: %s for %s, %s, %s", m.File, m.Type, m.Arch, strings.Join(parts, ", "), prompt.Size(m.Bytes))
	}
	a.note("pinned: root version %d", res.Versions[meta.RoleRoot])
	a.warn("the package goes stale on %s, when its %s metadata expires: make a new one before", res.Stale.UTC().Format(time.DateOnly), res.StaleFor)
	if !res.Secret {
		a.note("no enroll secret is inside; a host gets one as a line ORBIT_ENROLL_SECRET=... in /etc/default/orbit.local (mode 0600)")
	}
}

// compareServed looks whether hosts will find this repository. What came from there needs
// no second look.
func (a *app) compareServed(ctx context.Context, r *installer.Repository, from verify.Options, o *packageOptions) (bool, error) {
	if from.Source == o.UpdateURL {
		return true, nil
	}
	if o.offline {
		a.warn("--offline: nobody looked whether %s serves this repository", o.UpdateURL)
		return false, nil
	}
	return true, r.Compare(ctx, verify.Options{Source: o.UpdateURL, CAFile: o.UpdateCertificate, Insecure: o.Insecure, At: a.now()})
}

// packageSource says where the bytes come from: the folder if one was named or holds a
// repository, else what is served, from a root that was given.
func (a *app) packageSource(o *packageOptions, pathNamed bool) (verify.Options, error) {
	from := verify.Options{Source: a.publishedHere(), At: a.now()}
	here := from.Source != ""
	if !here {
		from.Source = a.within("repository")
	}
	pinned := o.root != "" || o.roots != ""
	if pinned && !pathNamed && !here {
		from.Source, from.CAFile, from.Insecure = o.UpdateURL, o.UpdateCertificate, o.Insecure
		if o.offline {
			return from, usagef("--offline needs the folder: there is no repository in %q", a.path)
		}
	}
	if o.root != "" && o.roots != "" {
		return from, usagef("--root and --update-roots are the same twice; give one")
	}
	if o.roots != "" {
		from.Root = []byte(o.roots)
		return from, nil
	}
	if !here && from.Source != o.UpdateURL {
		return from, fmt.Errorf("%w in %q", repo.ErrNoRepository, a.path)
	}
	var err error
	from.Root, err = a.pinnedRoot(from.Source, o.root)
	return from, err
}

// publishedHere is the web root of --path, empty if nothing is published there; a folder
// in which somebody keeps a root.json is none.
func (a *app) publishedHere() string {
	for _, dir := range []string{a.within("repository"), a.path} {
		if _, err := os.Stat(filepath.Join(dir, "timestamp.json")); err == nil {
			return dir
		}
	}
	return ""
}
