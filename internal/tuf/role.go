package tuf

// The top-level roles (TUF spec, section 2.1).
const (
	Root      = "root"
	Targets   = "targets"
	Snapshot  = "snapshot"
	Timestamp = "timestamp"
)

// Roles lists the top-level roles in the order in which they sign.
func Roles() []string { return []string{Root, Targets, Snapshot, Timestamp} }

// Limits on what is read, in bytes: those of the client inside Fleet's agents (go-tuf
// v0.5.2), and for what it does not limit those of later clients.
const (
	MaxRoot      = 512_000
	MaxTimestamp = 16_384
	MaxSnapshot  = 2_000_000
	MaxTargets   = 256_000_000
)

// MaxRootSteps is how many new roots that client follows in one update.
const MaxRootSteps = 1000

// MaxSize is the limit of a role.
func MaxSize(role string) int64 {
	switch role {
	case Root:
		return MaxRoot
	case Timestamp:
		return MaxTimestamp
	case Snapshot:
		return MaxSnapshot
	}
	return MaxTargets
}
