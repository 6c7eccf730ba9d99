package installer

import "fmt"

// Kind is what is wrong, in a word that stays.
type Kind string

// Kinds of [Error].
const (
	// Exclusive: two options that exclude each other; Option: a value that cannot be.
	Exclusive Kind = "exclusive"
	Option    Kind = "option"
	// Elsewhere: another tool makes this type.
	Elsewhere Kind = "elsewhere"
	// NoTarget: the repository has no such component; NoVersion: it has no
	// custom.version; Archive: it does not unpack.
	NoTarget  Kind = "no-target"
	NoVersion Kind = "no-version"
	Archive   Kind = "archive"
	// Refused: an agent refuses the repository.
	Refused Kind = "refused"
	// Expired and ExpiresSoon are about a role.
	Expired     Kind = "expired"
	ExpiresSoon Kind = "expires-soon"
	// OtherRepository: the update URL serves another one; Behind: it serves the same
	// one, older; Ahead: newer.
	OtherRepository Kind = "other-repository"
	Behind          Kind = "behind"
	Ahead           Kind = "ahead"
	// NotInstaller: the file that is to be inspected is none.
	NotInstaller Kind = "not-installer"
)

// Error is a refusal. Nothing was written.
type Error struct {
	Kind Kind
	// About is the flag, file, target, role or URL.
	About string
	// Role is set for Expired and ExpiresSoon.
	Role string
	Text string
	Err  error
}

func (e *Error) Error() string {
	s := e.About
	if e.Text != "" {
		s += " " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func wrong(flag, format string, args ...any) error {
	return &Error{Kind: Option, About: flag, Text: fmt.Sprintf(format, args...)}
}
