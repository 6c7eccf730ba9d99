// Package installer makes what puts Fleet's agent on a Linux host: a .deb, .rpm or
// .pkg.tar.zst with the agent's components, its settings, and the root of an update
// repository pinned inside; and it reads such files back.
//
// # One way
//
//	Options   what a person asked for, checked before anything is read
//	Read      the repository, through package verify: as an agent would, from a pinned
//	          root. What an agent refuses, is expired or soon will be, is an *Error
//	Compare   whether the update URL serves that same repository
//	Build     the files, all of them or none
//	Inspect   what a finished file pins, ours or fleetctl's
//
// # What an installer holds
//
//	/opt/orbit/bin/COMPONENT/PLATFORM/CHANNEL/FILE   the targets, 0755; the archive of
//	                              desktop stays beside what was unpacked from it
//	/opt/orbit/bin/orbit/orbit, /usr/local/bin/orbit  links to orbit
//	/opt/orbit/updates-metadata.json, tuf-metadata.json   the agent's own store: the
//	                              newest root and what it vouches for ([Store]); 0600
//	/opt/orbit/certs.pem          the CA bundle of the machine that packaged
//	/opt/orbit/osquery.flags, fleet.pem, update.pem       0600
//	/etc/default/orbit            the agent's environment, 0600, a conffile
//	/usr/lib/systemd/system/orbit.service
//
// The root is pinned at this moment and never again: a host whose store is not there
// falls back to the root that is compiled into the agent, and one with a root of another
// repository follows nobody. Hence the checks before, and [Inspect] after.
//
// # How it is made
//
// The formats of dpkg and pacman are written here, in a stream: tar, ar and zstd are the
// libraries'. RPM's is rpmpack's, which holds what it packs in memory: it packs short
// stand-ins for large files, and the real ones are put in their place in a stream, with the
// sizes and digests that rpm reads beforehand (packrpm.go, fillrpm.go). So memory does not
// grow with what is packaged.
//
// # Same input, same bytes
//
// Times inside are [Options.Built], nothing of the machine is kept but the CA bundle,
// and every order is sorted.
//
// Files are laid down in a folder of their own that nobody else can read, since they may
// hold an enroll secret, and moved into place when all are complete.
package installer
