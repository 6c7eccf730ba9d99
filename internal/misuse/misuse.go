// Package misuse holds the error for what a person or a script gave wrongly: a flag, an
// argument, a key URI, a configuration or a manifest. Every room may answer with it; the
// command line makes exit code 2 of it, and says what was expected.
package misuse

import "fmt"

// Error is what was given wrongly.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives what is wrong with it.
func (e *Error) Unwrap() error { return e.Err }

// Of says that err is about something that was given wrongly; nil stays nil.
func Of(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// Errorf is Of, written as fmt.Errorf is.
func Errorf(format string, args ...any) error { return Of(fmt.Errorf(format, args...)) }
