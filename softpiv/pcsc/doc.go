// Package pcsc lets programs that talk to smart cards talk to software cards
// (package card). There are two ways; in both, several cards can be plugged in.
//
// # A stand-in library: no daemon, no root, many at once
//
// [Serve] holds the readers and listens on a Unix socket. A small libpcsclite.so.1,
// built with cc when it is first needed, forwards every PC/SC call there. A child
// process finds both through [Server.Env] (LD_LIBRARY_PATH and SOFTPIV_SOCKET), so
// any number of servers can serve any number of children in parallel:
//
//	server, err := pcsc.Serve(blue, red)
//	cmd := exec.Command("yubico-piv-tool", "-a", "status")
//	cmd.Env = append(os.Environ(), server.Env()...)
//
// A Go test that calls piv-go in its own process must have been started with the
// library in its path. [Main] sees to that by starting the test binary again:
//
//	func TestMain(m *testing.M) { os.Exit(pcsc.Main(m)) }
//
//	func TestSign(t *testing.T) {
//		blue := ...
//		pcsc.Use(t, blue) // this test sees this card and no other
//	}
//
// The library looks at SOFTPIV_SOCKET whenever a context is established. [Use] sets
// it for one test, so tests that use it cannot be parallel within their process
// (t.Setenv refuses); tests that start children can.
//
// The server does what pcscd does: exclusive and shared connections (a second one is
// 0x8010000B), transactions, reset on disconnect, events, codes of removed and reset
// cards (0x80100069, 0x80100068), 0x80100003 for what was released. A YubiKey takes
// its reader along when it is pulled out; a card of another vendor leaves an empty
// reader behind.
//
// # The real daemon
//
// [StartPCSCD] runs Debian's pcscd with the vpcd driver (packages pcscd and
// vsmartcard-vpcd) in namespaces of its own, because vpcd listens on all addresses
// and pcscd has one fixed socket. [Daemon.Env] (PCSCLITE_CSOCK_NAME) points the real
// libpcsclite at it. It needs root. Busy readers and resets by others are the
// daemon's own affair there; Card.SetBusy does nothing.
package pcsc
