package pcsc

import "github.com/fleet-hsm/fleet-hsm/softpiv/card"

// Values of pcsclite.h.
const (
	shareExclusive = 1
	shareShared    = 2
	shareDirect    = 3

	protocolT0 = 1
	protocolT1 = 2

	leaveCard = uint32(0)
	resetCard = uint32(1) // and above: unpower, eject

	statePresent  = 0x04 // of SCardStatus
	statePowered  = 0x10
	stateSpecific = 0x40
)

// reader is a slot with a card in it, or out of it.
type reader struct {
	card    *card.Card
	name    string
	locker  *handle // holds the transaction
	nesting int
}

// there reports whether the reader shows up: a YubiKey takes its own along.
func (r *reader) there() bool { return r.card.Present() || r.card.OtherVendor() }

func (r *reader) protocol() uint32 {
	if r.card.T0Only() {
		return protocolT0
	}
	return protocolT1
}

// handle is a client's connection to a card.
type handle struct {
	id       uint32
	ctx      *context
	reader   *reader
	share    uint32
	protocol uint32
	arrivals uint64 // which stay of the card this is
	reset    bool   // somebody else reset the card; only a reconnect helps
}

// stale reports whether the card left since the handle was made.
func (h *handle) stale() bool { return h.arrivals != h.reader.card.Arrivals() }

func (s *Server) find(name string) *reader {
	for _, r := range s.readers {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (s *Server) visible() []string {
	var names []string
	for _, r := range s.readers {
		if r.there() {
			names = append(names, r.name)
		}
	}
	return names
}

// list answers names, each ended by a zero byte, and one more zero byte.
func (s *Server) list() reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.visible()
	if len(names) == 0 {
		return failed(rcNoReaders)
	}
	var b []byte
	for _, name := range names {
		b = append(append(b, name...), 0)
	}
	return reply{}.bytes(append(b, 0))
}

// connect: reader, share mode, protocols; answers handle and protocol.
func (s *Server) connect(ctx *context, req *request) reply {
	name, share, protocols := string(req.bytes()), req.number(), req.number()
	if req.bad || share < shareExclusive || share > shareDirect {
		return failed(rcInvalidParameter)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(name)
	if r == nil || !r.there() {
		return failed(rcUnknownReader)
	}
	h := &handle{ctx: ctx, reader: r, arrivals: r.card.Arrivals()}
	if rc := s.admit(h, share, protocols); rc != rcOK {
		return failed(rc)
	}
	if r.card.TakeBusy() {
		return failed(rcSharing)
	}
	h.id = s.number()
	s.handles[h.id] = h
	s.broadcast()
	return reply{}.number(h.id).number(h.protocol)
}

// admit checks whether the card is there and free in the way asked for.
func (s *Server) admit(h *handle, share, protocols uint32) uint32 {
	present := h.reader.card.Present()
	if !present && share != shareDirect {
		return rcNoCard
	}
	for _, other := range s.handles {
		if other == h || other.reader != h.reader || other.stale() {
			continue
		}
		if share == shareExclusive || other.share == shareExclusive {
			return rcSharing
		}
	}
	h.share, h.protocol = share, h.reader.protocol()
	if protocols&h.protocol == 0 {
		if share != shareDirect {
			return rcProtocol
		}
		h.protocol = 0
	}
	return rcOK
}

// reconnect: share mode, protocols, what to do with the card; answers the protocol.
func (s *Server) reconnect(h *handle, req *request) reply {
	share, protocols, disposition := req.number(), req.number(), req.number()
	if req.bad || share < shareExclusive || share > shareDirect {
		return failed(rcInvalidParameter)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h.arrivals = h.reader.card.Arrivals()
	if rc := s.admit(h, share, protocols); rc != rcOK {
		return failed(rc)
	}
	s.dispose(h, disposition)
	h.reset = false
	return reply{}.number(h.protocol)
}

func (s *Server) disconnect(h *handle, req *request) reply {
	disposition := req.number()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(h, disposition)
	return reply{}
}

// drop forgets a handle and its transaction. The lock is held.
func (s *Server) drop(h *handle, disposition uint32) {
	delete(s.handles, h.id)
	if h.reader.locker == h {
		h.reader.locker, h.reader.nesting = nil, 0
	}
	s.dispose(h, disposition)
	s.broadcast()
}

// dispose resets the card if asked to; every other connection learns of it.
func (s *Server) dispose(h *handle, disposition uint32) {
	if disposition == leaveCard || h.stale() {
		return
	}
	h.reader.card.Reset()
	for _, other := range s.handles {
		if other != h && other.reader == h.reader {
			other.reset = true
		}
	}
}

// health is the code of a handle that cannot be used: removed, or reset.
func (s *Server) health(h *handle) uint32 {
	switch {
	case s.handles[h.id] != h:
		return rcInvalidHandle
	case h.stale():
		return rcRemoved
	case h.reset:
		return rcReset
	}
	return rcOK
}

// begin waits until no other handle holds the transaction.
func (s *Server) begin(h *handle) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if rc := s.health(h); rc != rcOK {
			return failed(rc)
		}
		r := h.reader
		if r.locker == nil || r.locker == h || r.locker.stale() {
			if r.locker != h {
				r.locker, r.nesting = h, 0
			}
			r.nesting++
			return reply{}
		}
		if !s.await(nil) {
			return failed(rcInvalidHandle)
		}
	}
}

// await lets go of the lock until something changes or timeout fires; false when the
// server ends.
func (s *Server) await(timeout <-chan struct{}) bool {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
	case <-timeout:
	case <-s.done:
		return false
	}
	return true
}

func (s *Server) end(h *handle, req *request) reply {
	disposition := req.number()
	s.mu.Lock()
	defer s.mu.Unlock()
	if rc := s.health(h); rc != rcOK {
		return failed(rc)
	}
	if h.reader.locker != h {
		return failed(rcNotTransacted)
	}
	s.dispose(h, disposition)
	if h.reader.nesting--; h.reader.nesting == 0 {
		h.reader.locker = nil
	}
	s.broadcast()
	return reply{}
}

// transmit hands the APDU to the card; the server is free meanwhile.
func (s *Server) transmit(h *handle, req *request) reply {
	apdu := req.bytes()
	s.mu.Lock()
	rc := s.health(h)
	if l := h.reader.locker; rc == rcOK && l != nil && l != h && !l.stale() {
		rc = rcSharing
	}
	s.mu.Unlock()
	if rc != rcOK || req.bad {
		return failed(rc)
	}
	answer, err := h.reader.card.Exchange(apdu)
	switch err {
	case nil:
		return reply{}.bytes(answer)
	case card.ErrReset:
		s.markReset(h.reader)
		return failed(rcReset)
	}
	return failed(rcRemoved)
}

func (s *Server) markReset(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.handles {
		if h.reader == r {
			h.reset = true
		}
	}
}

// status answers reader name (zero-terminated), state, protocol, ATR.
func (s *Server) status(h *handle) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rc := s.health(h); rc != rcOK {
		return failed(rc)
	}
	state := uint32(statePresent | statePowered | stateSpecific)
	return reply{}.bytes(append([]byte(h.reader.name), 0)).number(state).number(h.protocol).bytes(h.reader.card.ATR())
}
