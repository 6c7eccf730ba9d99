package pcsc

import (
	"slices"
	"time"
)

// Bits of SCARD_READERSTATE.
const (
	eventIgnore    = 0x0001
	eventChanged   = 0x0002
	eventUnknown   = 0x0004
	eventEmpty     = 0x0010
	eventPresent   = 0x0020
	eventExclusive = 0x0080
	eventInUse     = 0x0100

	// infinite is the time-out that never comes.
	infinite = 0xFFFFFFFF
	// pnpName stands for "readers coming and going".
	pnpName = `\\?PnP?\Notification`
)

// Attributes and controls that clients ask for.
const (
	attrVendorName   = 0x00010100
	attrFriendlyName = 0x7FFF0003
	attrSystemName   = 0x7FFF0004
	attrATR          = 0x00090303
	ctlFeatures      = 0x42000000 + 3400
)

// watched is one reader in a question about changes.
type watched struct {
	name    string
	current uint32
}

// statusChange: time-out in milliseconds, readers with the state the client knows;
// answers state and ATR of each, when one differs.
func (s *Server) statusChange(ctx *context, req *request) reply {
	timeout := req.number()
	list := make([]watched, min(req.number(), 64))
	for i := range list {
		list[i] = watched{name: string(req.bytes()), current: req.number()}
	}
	if req.bad {
		return failed(rcInvalidParameter)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx.cancelled = false
	before := s.visible()
	expired, stop := deadline(timeout)
	defer stop()
	for {
		out, differs := s.events(list, before)
		select {
		case <-expired:
			if !differs {
				out.rc = rcTimeout
			}
			return out
		default:
		}
		if differs {
			return out
		}
		if ctx.cancelled || !s.await(expired) {
			return failed(rcCancelled)
		}
	}
}

// deadline is closed after so many milliseconds.
func deadline(ms uint32) (<-chan struct{}, func()) {
	done := make(chan struct{})
	if ms == infinite {
		return done, func() {}
	}
	if ms == 0 {
		close(done)
		return done, func() {}
	}
	t := time.AfterFunc(time.Duration(ms)*time.Millisecond, func() { close(done) })
	return done, func() { t.Stop() }
}

// events gives the state of every watched reader and whether one differs from what
// the client knows.
func (s *Server) events(list []watched, before []string) (reply, bool) {
	out, differs := reply{}, false
	for _, w := range list {
		state, atr := s.state(w, before)
		differs = differs || state&eventChanged != 0
		out = out.number(state).bytes(atr)
	}
	return out, differs
}

func (s *Server) state(w watched, before []string) (uint32, []byte) {
	if w.current&eventIgnore != 0 {
		return eventIgnore, nil
	}
	if w.name == pnpName {
		if slices.Equal(before, s.visible()) {
			return 0, nil
		}
		return eventChanged, nil
	}
	r := s.find(w.name)
	if r == nil || !r.there() {
		return differing(eventUnknown, w.current), nil
	}
	if !r.card.Present() {
		return differing(eventEmpty|counter(r), w.current), nil
	}
	state := eventPresent | counter(r)
	for _, h := range s.handles {
		if h.reader != r || h.stale() {
			continue
		}
		state |= eventInUse
		if h.share == shareExclusive {
			state |= eventExclusive
		}
	}
	return differing(state, w.current), r.card.ATR()
}

// counter is the number of insertions and removals, in the upper half as pcscd has it.
func counter(r *reader) uint32 { return uint32(r.card.Arrivals()) << 16 }

// differing adds the "changed" bit. A client that leaves the counter at zero does
// not compare it.
func differing(state, known uint32) uint32 {
	const bits = eventUnknown | eventEmpty | eventPresent | eventExclusive | eventInUse
	if state&bits != known&bits || known>>16 != 0 && known>>16 != state>>16 {
		return state | eventChanged
	}
	return state
}

// cancel: the number of the context whose wait is to end.
func (s *Server) cancel(req *request) reply {
	id := req.number()
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := s.contexts[id]
	if ctx == nil {
		return failed(rcInvalidHandle)
	}
	ctx.cancelled = true
	s.broadcast()
	return reply{}
}

func (s *Server) attribute(h *handle, req *request) reply {
	switch req.number() {
	case attrVendorName:
		return reply{}.bytes([]byte("softpiv\x00"))
	case attrFriendlyName, attrSystemName:
		return reply{}.bytes(append([]byte(h.reader.name), 0))
	case attrATR:
		return reply{}.bytes(h.reader.card.ATR())
	}
	return failed(rcUnsupportedFeature)
}

// control answers the question for reader features (PIN pads): there are none.
func (s *Server) control(_ *handle, req *request) reply {
	if req.number() == ctlFeatures {
		return reply{}.bytes(nil)
	}
	return failed(rcUnsupportedFeature)
}
