//go:build windows || (cgo && !linux)

package pcsc

// Loaded tells why cards cannot be reached from here whatever runs, as a [*LibraryError];
// nil if they can. On Linux it loads the library; other systems have theirs always.
func Loaded() error { return nil }
