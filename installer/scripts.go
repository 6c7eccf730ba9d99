package installer

import "strings"

// Maintainer scripts. Each goes through where systemd is not there, or does not run (a
// chroot, an image that is being built).

const scriptHead = `#!/bin/sh
set -e
has_systemd() { command -v systemctl >/dev/null 2>&1; }
runs_systemd() { has_systemd && [ -d /run/systemd/system ]; }
`

// startUnit: systemd has to know the unit before it is enabled and started. An agent that
// is being replaced by itself would end in the middle: its group of processes is stopped,
// and this script is in it. So that is left to a timer.
const startUnit = `if runs_systemd; then
  systemctl daemon-reload || true
fi
if has_systemd; then
  systemctl enable orbit.service >/dev/null 2>&1 || true
fi
if runs_systemd; then
  if [ -n "${INSTALLER_PATH:-}" ]; then
    systemd-run --quiet --on-active=60 systemctl restart orbit.service || true
  else
    systemctl restart orbit.service || true
  fi
fi
`

const stopUnit = `  if runs_systemd; then
    systemctl stop orbit.service || true
  fi
  if has_systemd; then
    systemctl disable orbit.service >/dev/null 2>&1 || true
  fi
`

// deleteAll takes away what the agent has made in its folders besides.
const deleteAll = `  rm -rf /opt/orbit /var/log/orbit /var/log/osquery
  if runs_systemd; then
    systemctl daemon-reload || true
  fi
`

// scripts are what a type runs and when.
type scripts struct {
	postInstall, preRemove, postRemove string
	// postTrans is rpm's alone, postUpgrade pacman's.
	postTrans, postUpgrade string
}

// scriptsOf writes a type's scripts. dpkg says "remove" where rpm says 0, and pacman has
// other scripts for upgrades.
func scriptsOf(kind string) scripts {
	block := func(condition string, body ...string) string {
		return scriptHead + "if " + condition + "; then\n" + strings.Join(body, "") + "fi\n"
	}
	deleteLocal := "  rm -f " + localFile + "\n"
	switch kind {
	case Deb:
		return scripts{
			postInstall: block(`[ "${1:-}" = configure ]`, startUnit),
			preRemove:   block(`[ "${1:-}" = remove ] || [ "${1:-}" = deconfigure ]`, stopUnit),
			postRemove: block(`[ "${1:-}" = remove ] || [ "${1:-}" = purge ]`, deleteAll) +
				"if [ \"${1:-}\" = purge ]; then\n" + deleteLocal + "fi\n",
		}
	case RPM:
		return scripts{
			postInstall: scriptHead + startUnit,
			preRemove:   block(`[ "${1:-}" = 0 ]`, stopUnit),
			postRemove:  block(`[ "${1:-}" = 0 ]`, deleteAll, deleteLocal),
			// At an upgrade the old package's scripts run last, and may have stopped it.
			postTrans: scriptHead + startUnit,
		}
	}
	return scripts{
		postInstall: scriptHead + startUnit, postUpgrade: scriptHead + startUnit,
		preRemove:  block("true", stopUnit),
		postRemove: block("true", deleteAll, deleteLocal),
	}
}
