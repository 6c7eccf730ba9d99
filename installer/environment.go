package installer

import (
	"fmt"
	"strings"
)

// environmentFile is a conffile: dpkg and rpm leave one alone that was changed.
const environmentFile = "/etc/default/orbit"

// localFile is a host's own; no package has it.
const localFile = "/etc/default/orbit.local"

// environment is the text of environmentFile.
func (o *Options) environment() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The agent's settings, made by fleet-hsm. Upgrades keep this file if it was changed.\n# A host's own settings go into %s, which counts after this one.\n", localFile)
	for _, v := range o.variables() {
		fmt.Fprintf(&b, "%s=%s\n", v[0], quoted(v[1]))
	}
	if o.EnrollSecret == "" {
		fmt.Fprintf(&b, "# No enroll secret is in this package. To give this host one, as root:\n#   (umask 077; echo 'ORBIT_ENROLL_SECRET=...' >>%s)\n", localFile)
	}
	return b.String()
}

// variables are those of PACKAGE.md, in its order.
func (o *Options) variables() [][2]string {
	given := func(ok bool, name, value string) [][2]string {
		if !ok {
			return nil
		}
		return [][2]string{{name, value}}
	}
	var all [][2]string
	for _, v := range [][][2]string{
		{{"ORBIT_UPDATE_URL", o.UpdateURL}, {"ORBIT_ORBIT_CHANNEL", o.OrbitChannel}, {"ORBIT_OSQUERYD_CHANNEL", o.OsquerydChannel}, {"ORBIT_UPDATE_INTERVAL", o.UpdateInterval.String()}},
		given(o.Desktop, "ORBIT_FLEET_DESKTOP", "true"),
		given(o.Desktop, "ORBIT_DESKTOP_CHANNEL", o.DesktopChannel),
		given(o.BrowserHost != "", "ORBIT_FLEET_DESKTOP_ALTERNATIVE_BROWSER_HOST", o.BrowserHost),
		given(o.Insecure, "ORBIT_INSECURE", "true"),
		given(o.DisableUpdates, "ORBIT_DISABLE_UPDATES", "true"),
		given(o.FleetURL != "", "ORBIT_FLEET_URL", o.FleetURL),
		given(o.FleetCertificate != "", "ORBIT_FLEET_CERTIFICATE", "/opt/orbit/fleet.pem"),
		given(o.UpdateCertificate != "", "ORBIT_UPDATE_TLS_CERTIFICATE", "/opt/orbit/update.pem"),
		given(o.EnrollSecret != "", "ORBIT_ENROLL_SECRET", o.EnrollSecret),
		given(o.Debug, "ORBIT_DEBUG", "true"),
		given(o.EnableScripts, "ORBIT_ENABLE_SCRIPTS", "true"),
		given(o.HostIdentifier != "" && o.HostIdentifier != "uuid", "ORBIT_HOST_IDENTIFIER", o.HostIdentifier),
		given(o.OsqueryDB != "", "ORBIT_OSQUERY_DB", o.OsqueryDB),
		given(o.EndUserEmail != "", "ORBIT_END_USER_EMAIL", o.EndUserEmail),
	} {
		all = append(all, v...)
	}
	return all
}

// bare are characters that mean themselves to systemd and to a shell.
const bare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-"

// quoted writes a value as systemd and a shell read it back.
func quoted(s string) string {
	if strings.Trim(s, bare) == "" {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(s) + `"`
}

// unquoted is what such a file says of a variable; a value in single quotes counts too.
func unquoted(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, "$", "\\`", "`").Replace(s[1 : len(s)-1])
}
