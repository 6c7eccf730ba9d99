package meta

import (
	"fmt"
	"regexp"
	"sync"
)

var numbered = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([1-9][0-9]{0,15})\.([^./][^/]*)\.json$`) })

// FileName is what the file of a role is called: ROLE.json, or N.ROLE.json for a version
// above 0.
func FileName(role string, version int64) string {
	if version == 0 {
		return role + ".json"
	}
	return fmt.Sprintf("%d.%s.json", version, role)
}

// SplitNumbered takes the name of a numbered file apart; ok is false for any other.
func SplitNumbered(file string) (number, role string, ok bool) {
	m := numbered().FindStringSubmatch(file)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// IsNumbered reports whether a file's name is a numbered one.
func IsNumbered(file string) bool { return numbered().MatchString(file) }
