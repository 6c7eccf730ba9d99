//go:build cgo

package pkcs11_test

import (
	"testing"
	"time"
)

// waitFor waits until something has happened, for as long as a busy machine may need.
func waitFor(t testing.TB, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if happened() {
			return
		}
	}
	t.Fatal("it never happened")
}
