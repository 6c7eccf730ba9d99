//go:build !linux && !darwin

package tty

// Hush does nothing here.
func (t *Terminal) Hush() (giveBack func()) { return func() {} }
