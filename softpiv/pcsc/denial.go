package pcsc

// Denial is what the rules of polkit refuse to a user (0x8010006A).
type Denial int

// The denials.
const (
	DenyNothing Denial = iota
	DenyDaemon         // org.debian.pcsc-lite.access_pcsc
	DenyCards          // org.debian.pcsc-lite.access_card
)

// SetDenied makes the server refuse what comes from now on, as pcscd does for a user who
// has no active session at the machine.
func (s *Server) SetDenied(d Denial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = d
}

func (s *Server) refuses(op byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied == DenyDaemon && op == opEstablish || s.denied == DenyCards && op == opConnect
}
