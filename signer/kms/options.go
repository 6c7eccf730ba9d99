package kms

import (
	"path"
	"strings"
	"time"
	"unicode"
)

// Options say which programs are started and how. The zero value looks in PATH.
type Options struct {
	// Folder is the only one in which plug-ins are looked for; "" for those of PATH.
	Folder string
	// Environment names variables that plug-ins get besides, apart by blanks or commas; a
	// "*" stands for the rest of a name.
	Environment string
	// Timeout bounds one call; 0 means 30 seconds.
	Timeout time.Duration
}

const (
	defaultTimeout = 30 * time.Second
	// maxCalls is how many plug-ins of a back end run at a time.
	maxCalls = 4
)

func (o Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return defaultTimeout
}

// meant reports whether a variable is meant for the plug-in of a name, although it may
// hold a secret.
func (o Options) meant(name string) func(variable string) bool {
	own := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' {
			return '_'
		}
		return unicode.ToUpper(r)
	}, name) + "_"
	named := strings.FieldsFunc(o.Environment, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	return func(variable string) bool {
		if strings.HasPrefix(variable, own) {
			return true
		}
		for _, pattern := range named {
			if ok, err := path.Match(pattern, variable); ok && err == nil {
				return true
			}
		}
		return false
	}
}
