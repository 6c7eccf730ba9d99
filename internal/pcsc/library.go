package pcsc

import "fmt"

// LibraryError says that the library of the PC/SC service cannot be loaded: no card can be
// reached before it is installed.
type LibraryError struct {
	Why string // in the words of the system's loader, which name the file
}

func (e *LibraryError) Error() string {
	return fmt.Sprintf("the library of the PC/SC service cannot be loaded: %s", e.Why)
}
