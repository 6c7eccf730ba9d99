//go:build cgo

package pcsc

// const char *pcsc_missing(void);
import "C"

// Loaded tells why cards cannot be reached from here whatever runs, as a [*LibraryError];
// nil if they can. On Linux it loads the library; other systems have theirs always.
func Loaded() error {
	if why := C.pcsc_missing(); why != nil {
		return &LibraryError{Why: C.GoString(why)}
	}
	return nil
}
