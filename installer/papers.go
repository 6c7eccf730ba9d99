package installer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"time"
)

// Debian wants to know of each package what changed and under which terms it comes.

const packageName = "fleet-osquery"

const maintainer = "fleet-hsm maintainers <maintainers@fleet-hsm.invalid>"

const homepage = "https://fleetdm.com"

const description = `Fleet's agent (orbit, osqueryd), with a pinned update repository
The agent keeps itself up to date from one repository: the root that
vouches for it and its address are inside. Made by fleet-hsm.`

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: fleetd
Source: https://github.com/fleetdm/fleet

Files: *
Copyright: Fleet Device Management and the authors of osquery
License: as-published
 The components below /opt/orbit/bin are those of the update repository that this package
 pins, byte for byte. Fleet's agent is published under the MIT license, osquery under
 Apache-2.0 or GPL-2; on Debian the texts are in /usr/share/common-licenses.
`

// overrides say why this package does what Debian's own packages may not.
const overrides = `# The agent lives in /opt/orbit, where it replaces its own files: Fleet's layout.
fleet-osquery: dir-or-file-in-opt
# Fleet's documents call /usr/local/bin/orbit.
fleet-osquery: file-in-usr-local
fleet-osquery: dir-in-usr-local
# The agent's programs are shipped as the repository signed them: another byte, and the
# agent would download them again.
fleet-osquery: statically-linked-binary
fleet-osquery: unstripped-binary-or-object
fleet-osquery: unstripped-static-library
fleet-osquery: embedded-library
fleet-osquery: missing-dependency-on-libc
fleet-osquery: binary-from-other-architecture
fleet-osquery: arch-dependent-file-in-usr-share
fleet-osquery: custom-library-search-path
fleet-osquery: hardening-no-pie
fleet-osquery: shared-library-lacks-prerequisites
`

func gzipped(text string) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write([]byte(text)); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

func changelog(version string, built time.Time) string {
	return fmt.Sprintf("%s (%s) stable; urgency=medium\n\n  * Packaged from the update repository.\n\n -- %s  %s\n",
		packageName, version, maintainer, built.UTC().Format(time.RFC1123Z))
}
