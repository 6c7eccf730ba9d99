//go:build cgo

package pkcs11

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Processes of ours that use one module take turns: C_Initialize of many at a time, or
// one C_Login. A login makes SoftHSM write its token's file, and whoever reads half of
// it answers a right PIN with CKR_USER_PIN_NOT_INITIALIZED or CKR_GENERAL_ERROR. That
// would be the end of it, because a PIN that may have been wrong is not offered again.
//
// The lock is flock's on the module's file, which all of them have open for nothing but
// this. It is a courtesy: who cannot have it, or waits too long, goes on without.

// longestTurn bounds the wait for others.
const longestTurn = 3 * time.Second

// turn waits for others that use a module, runs f, and lets the next one in.
func turn(path string, how int, f func() error) error {
	file, err := os.Open(path)
	if err != nil {
		return f()
	}
	defer file.Close()
	for end := time.Now().Add(longestTurn); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if err == nil || err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(end) {
			return f()
		}
	}
}
