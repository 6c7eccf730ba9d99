package tuf

import "fmt"

// MaxVersion is the highest version that is ever signed, 2^53 - 1. Agents read the
// numbers of metadata as float64 before they check a signature: above it not every
// number survives that, and there must be room to sign once more.
const MaxVersion int64 = 1<<53 - 1

// MaxJump is how far one version may be above the one that was known before. Who signs
// every minute gets there in two years; who wants to use up the versions that there are
// would need eight thousand million of such jumps.
const MaxJump int64 = 1 << 20

// VersionError: there is no version left to sign, or one is too far from the last.
type VersionError struct {
	Role string
	// Known is the version known before, 0 if none; Got is the one refused.
	Known, Got int64
}

func (e *VersionError) Error() string {
	if e.Got > MaxVersion || e.Got < 1 {
		return fmt.Sprintf("%s version %d is above %d, which agents can read", e.Role, e.Got, MaxVersion)
	}
	return fmt.Sprintf("%s jumps from version %d to %d, more than %d at once", e.Role, e.Known, e.Got, MaxJump)
}

// NextVersion is one above the highest of the versions that are known. All numbers that
// are signed come from here.
func NextVersion(role string, known ...int64) (int64, error) {
	var high int64
	for _, v := range known {
		high = max(high, v)
	}
	if high >= MaxVersion {
		return 0, &VersionError{Role: role, Known: high, Got: high + 1}
	}
	return high + 1, nil
}

// CheckVersion refuses a version that cannot be, or that is more than MaxJump above the
// one known before; known 0 means that none is.
func CheckVersion(role string, known, got int64) error {
	if got < 1 || got > MaxVersion || known > 0 && got > known && got-known > MaxJump {
		return &VersionError{Role: role, Known: known, Got: got}
	}
	return nil
}
