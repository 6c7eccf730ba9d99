package installer

import (
	"slices"
	"strings"
)

// Fleetctl is the command, word by word, that makes a type with fleetctl which is not
// made here; rootFile holds the root, secret is how a shell gets the enroll secret, empty
// for none.
func (o *Options) Fleetctl(kind, arch, rootFile, secret string) []string {
	words := []string{"fleetctl", "package", "--type", kind}
	add := func(ok bool, flag, value string) {
		if ok {
			words = append(words, flag, ShellQuoted(value))
		}
	}
	flag := func(ok bool, flag string) {
		if ok {
			words = append(words, flag)
		}
	}
	add(kind != "pkg" && arch != "amd64", "--arch", arch)
	add(true, "--update-url", o.UpdateURL)
	words = append(words, "--update-roots", `"$(cat `+ShellQuoted(rootFile)+`)"`)
	add(o.FleetURL != "", "--fleet-url", o.FleetURL)
	if secret != "" {
		words = append(words, "--enroll-secret", secret)
	}
	add(o.OrbitChannel != "stable", "--orbit-channel", o.OrbitChannel)
	add(o.OsquerydChannel != "stable", "--osqueryd-channel", o.OsquerydChannel)
	flag(o.Desktop, "--fleet-desktop")
	add(o.Desktop && o.DesktopChannel != "stable", "--desktop-channel", o.DesktopChannel)
	add(o.BrowserHost != "", "--fleet-desktop-alternative-browser-host", o.BrowserHost)
	add(o.UpdateInterval != DefaultInterval, "--update-interval", o.UpdateInterval.String())
	flag(o.DisableUpdates, "--disable-updates")
	add(o.FleetCertificate != "", "--fleet-certificate", o.FleetCertificate)
	add(o.UpdateCertificate != "", "--update-tls-certificate", o.UpdateCertificate)
	add(o.OsqueryFlags != "", "--osquery-flagfile", o.OsqueryFlags)
	flag(o.EnableScripts, "--enable-scripts")
	add(o.HostIdentifier != "" && o.HostIdentifier != "uuid", "--host-identifier", o.HostIdentifier)
	add(o.OsqueryDB != "", "--osquery-db", o.OsqueryDB)
	add(o.EndUserEmail != "", "--end-user-email", o.EndUserEmail)
	flag(o.Insecure, "--insecure")
	flag(o.Debug, "--debug")
	add(o.Version != "", "--version", o.Version)
	add(o.Outfile != "", "--outfile", o.Outfile)
	return words
}

// Elsewhere gives the types that were asked for and are fleetctl's.
func (o *Options) Elsewhere() []string {
	return slices.DeleteFunc(slices.Clone(o.Types), func(t string) bool { return !slices.Contains(elsewhere(), t) })
}

// ShellQuoted is a word as a shell takes it.
func ShellQuoted(s string) string {
	if s != "" && strings.Trim(s, bare) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
