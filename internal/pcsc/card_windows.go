package pcsc

import (
	"unsafe" // a system call of Windows takes addresses as numbers

	"golang.org/x/sys/windows"
)

// The constants of winscard.h.
const (
	scopeSystem    = 2
	shareExclusive = 1
	protocolT1     = 2
	leaveCard      = 0
)

// Card is a connection to one card, made by [Connect].
type Card struct{ context, card uintptr }

// call makes a call of winscard.dll, which every Windows has. What the addresses point to
// stays where it is until it returns, which the directive sees to.
//
//go:uintptrescapes
func call(name string, args ...uintptr) error {
	proc := windows.NewLazySystemDLL("winscard.dll").NewProc(name)
	if err := proc.Find(); err != nil {
		return err
	}
	rc, _, _ := proc.Call(args...)
	return failed(name, uint32(rc))
}

func (c *Card) establish() error {
	return call("SCardEstablishContext", scopeSystem, 0, 0, uintptr(unsafe.Pointer(&c.context)))
}

func (c *Card) connect(reader string) error {
	name, err := windows.UTF16PtrFromString(reader)
	if err != nil {
		return err
	}
	var protocol uint32
	return call("SCardConnectW", c.context, uintptr(unsafe.Pointer(name)), shareExclusive, protocolT1,
		uintptr(unsafe.Pointer(&c.card)), uintptr(unsafe.Pointer(&protocol)))
}

func (c *Card) begin() error { return call("SCardBeginTransaction", c.card) }

func (c *Card) transmit(command []byte) ([]byte, error) {
	answer := make([]byte, mostAnswer)
	n := uint32(len(answer))
	// Without a header the driver takes that of the protocol in use, T=1.
	err := call("SCardTransmit", c.card, 0, uintptr(unsafe.Pointer(&command[0])), uintptr(len(command)),
		0, uintptr(unsafe.Pointer(&answer[0])), uintptr(unsafe.Pointer(&n)))
	if err != nil {
		return nil, err
	}
	return answer[:n:n], nil
}

func (c *Card) end() error { return call("SCardEndTransaction", c.card, leaveCard) }

func (c *Card) disconnect() error { return call("SCardDisconnect", c.card, leaveCard) }

func (c *Card) release() error { return call("SCardReleaseContext", c.context) }
