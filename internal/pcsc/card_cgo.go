//go:build cgo && !windows

package pcsc

/*
#cgo linux LDFLAGS: -Wl,--as-needed -ldl
#cgo linux pkg-config: libpcsclite
#cgo darwin LDFLAGS: -framework PCSC
#cgo freebsd CFLAGS: -I/usr/local/include -I/usr/local/include/PCSC
#cgo freebsd LDFLAGS: -L/usr/local/lib -lpcsclite
#cgo openbsd CFLAGS: -I/usr/local/include -I/usr/local/include/PCSC
#cgo openbsd LDFLAGS: -L/usr/local/lib -lpcsclite
#include <PCSC/winscard.h>
#include <PCSC/wintypes.h>

// Go's bytes stand where PC/SC has strings and constant buffers, so that no pointer has to
// change its type in Go. The lengths are DWORD, which has another size on macOS.
static LONG connect_card(SCARDCONTEXT context, const unsigned char *reader, SCARDHANDLE *card) {
	DWORD protocol = 0;
	return SCardConnect(context, (LPCSTR)reader, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T1, card, &protocol);
}

static LONG transmit(SCARDHANDLE card, const unsigned char *command, DWORD len, unsigned char *answer, DWORD *answered) {
	return SCardTransmit(card, SCARD_PCI_T1, command, len, NULL, answer, answered);
}
*/
import "C"

// Card is a connection to one card, made by [Connect].
type Card struct {
	context C.SCARDCONTEXT
	card    C.SCARDHANDLE
}

func (c *Card) establish() error {
	return failed("SCardEstablishContext", uint32(C.SCardEstablishContext(C.SCARD_SCOPE_SYSTEM, nil, nil, &c.context)))
}

func (c *Card) connect(reader string) error {
	name := append([]byte(reader), 0)
	return failed("SCardConnect", uint32(C.connect_card(c.context, (*C.uchar)(&name[0]), &c.card)))
}

func (c *Card) begin() error {
	return failed("SCardBeginTransaction", uint32(C.SCardBeginTransaction(c.card)))
}

func (c *Card) transmit(command []byte) ([]byte, error) {
	answer := make([]byte, mostAnswer)
	n := C.DWORD(len(answer))
	rc := C.transmit(c.card, (*C.uchar)(&command[0]), C.DWORD(len(command)), (*C.uchar)(&answer[0]), &n)
	if err := failed("SCardTransmit", uint32(rc)); err != nil {
		return nil, err
	}
	return answer[:n:n], nil
}

func (c *Card) end() error {
	return failed("SCardEndTransaction", uint32(C.SCardEndTransaction(c.card, C.SCARD_LEAVE_CARD)))
}

func (c *Card) disconnect() error {
	return failed("SCardDisconnect", uint32(C.SCardDisconnect(c.card, C.SCARD_LEAVE_CARD)))
}

func (c *Card) release() error {
	return failed("SCardReleaseContext", uint32(C.SCardReleaseContext(c.context)))
}
