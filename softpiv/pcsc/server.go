package pcsc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// Names in the environment.
const (
	envSocket = "SOFTPIV_SOCKET" // where the stand-in library finds its server
	envStub   = "SOFTPIV_STUB"   // folder of a stand-in library built already
)

// Server holds readers and answers the stand-in library.
type Server struct {
	dir  string // socket, and the library if it was built here
	stub string // folder of the library
	ln   net.Listener
	done chan struct{}
	wait sync.WaitGroup

	mu       sync.Mutex
	readers  []*reader
	contexts map[uint32]*context
	handles  map[uint32]*handle
	last     uint32        // last number given to a context or handle
	denied   Denial        // what polkit refuses
	changed  chan struct{} // closed at every change of cards, readers or locks
}

// Serve starts a server with the cards plugged in. The stand-in library is built
// with cc ($CC) unless an earlier [Main] did that.
func Serve(cards ...*card.Card) (*Server, error) {
	dir, err := os.MkdirTemp(socketRoot(), "softpiv-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		dir: dir, stub: os.Getenv(envStub), done: make(chan struct{}),
		contexts: map[uint32]*context{}, handles: map[uint32]*handle{}, changed: make(chan struct{}),
	}
	if s.stub == "" {
		s.stub = dir
		if err := buildStub(dir); err != nil {
			_ = os.RemoveAll(dir)
			return nil, err
		}
	}
	if s.ln, err = net.Listen("unix", s.Socket()); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	for _, c := range cards {
		s.Plug(c)
	}
	s.wait.Go(s.accept)
	return s, nil
}

// socketRoot keeps the path short: a Unix socket's name has at most 107 bytes.
func socketRoot() string {
	if root := os.TempDir(); len(root) < 60 {
		return root
	}
	return "/tmp"
}

// Socket is the path of the Unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "pcsc.sock") }

// Env is what to add to a child's environment, so that its libpcsclite.so.1 is the
// stand-in and talks to this server.
func (s *Server) Env() []string {
	path := s.stub
	if old := os.Getenv("LD_LIBRARY_PATH"); old != "" && old != path {
		path += ":" + old
	}
	return []string{"LD_LIBRARY_PATH=" + path, envSocket + "=" + s.Socket()}
}

// Close stops the server; whoever still calls it sees a dead PC/SC service.
func (s *Server) Close() error {
	s.mu.Lock()
	select {
	case <-s.done:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.done)
	open := make([]*context, 0, len(s.contexts))
	for _, ctx := range s.contexts {
		open = append(open, ctx)
	}
	s.mu.Unlock()
	err := s.ln.Close()
	for _, ctx := range open {
		_ = ctx.conn.Close()
	}
	var cards []*card.Card
	for _, r := range s.readers {
		cards = append(cards, r.card)
	}
	unpower(&s.wait, cards)
	return errors.Join(err, os.RemoveAll(s.dir))
}

// unpower waits for the goroutines that serve cards. A command that waits for a touch
// would hold them up, so the power goes.
func unpower(serving *sync.WaitGroup, cards []*card.Card) {
	idle := make(chan struct{})
	go func() {
		serving.Wait()
		close(idle)
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, c := range cards {
			c.PowerOff()
		}
		select {
		case <-idle:
			return
		case <-tick.C:
		}
	}
}

// Plug adds a reader with a card and gives its name: the card's own, or one like
// pcscd gives to a YubiKey ("Yubico YubiKey OTP+FIDO+CCID 00 00").
func (s *Server) Plug(c *card.Card) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &reader{card: c, name: s.readerName(c)}
	s.readers = append(s.readers, r)
	s.wait.Go(func() { s.watch(c) })
	s.broadcast()
	return r.name
}

func (s *Server) readerName(c *card.Card) string {
	if name := c.Reader(); name != "" {
		return name
	}
	base := "Yubico YubiKey OTP+FIDO+CCID"
	if c.OtherVendor() {
		base = "ACME Card Reader"
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s %02X 00", base, i)
		if s.find(name) == nil {
			return name
		}
	}
}

// Readers are the names of the readers that are there now.
func (s *Server) Readers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visible()
}

// watch passes on what happens to a card.
func (s *Server) watch(c *card.Card) {
	for {
		changed := c.Changed()
		s.mu.Lock()
		s.broadcast()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.done:
			return
		}
	}
}

// broadcast wakes everything that waits for a change. The lock is held.
func (s *Server) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.wait.Go(func() { s.serve(conn) })
	}
}

// context is a client's SCARDCONTEXT: one connection.
type context struct {
	id        uint32
	conn      net.Conn
	cancelled bool // SCardCancel came
}

// serve answers one connection until it ends; what it left open is cleaned up.
func (s *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	var ctx *context
	defer func() { s.release(ctx) }()
	for {
		req, err := readRequest(conn)
		if err != nil {
			return
		}
		if req.op == opEstablish && ctx == nil {
			ctx = s.establish(conn)
			if ctx == nil {
				return
			}
		}
		if s.handle(ctx, req).write(conn) != nil || req.op == opRelease {
			return
		}
	}
}

func (s *Server) establish(conn net.Conn) *context {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	default:
	}
	ctx := &context{id: s.number(), conn: conn}
	s.contexts[ctx.id] = ctx
	return ctx
}

// number gives contexts and handles numbers that are never used twice.
func (s *Server) number() uint32 {
	if s.last == 0 {
		s.last = 0x10000
	}
	s.last++
	return s.last
}

// release ends a context as pcscd does: a card under a transaction is reset, others
// are left as they are.
func (s *Server) release(ctx *context) {
	if ctx == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.handles {
		if h.ctx != ctx {
			continue
		}
		disposition := leaveCard
		if h.reader.locker == h {
			disposition = resetCard
		}
		s.drop(h, disposition)
	}
	delete(s.contexts, ctx.id)
}

// handle runs one request.
func (s *Server) handle(ctx *context, req *request) reply {
	if req.op == opCancel {
		return s.cancel(req)
	}
	if ctx == nil {
		return failed(rcInvalidHandle)
	}
	if s.refuses(req.op) {
		return failed(rcSecurity)
	}
	switch req.op {
	case opEstablish:
		return reply{}.number(ctx.id)
	case opList:
		return s.list()
	case opConnect:
		return s.connect(ctx, req)
	case opChange:
		return s.statusChange(ctx, req)
	case opRelease:
		s.release(ctx)
		return reply{}
	}
	return s.withHandle(ctx, req)
}

func (s *Server) withHandle(ctx *context, req *request) reply {
	id := req.number()
	s.mu.Lock()
	h := s.handles[id]
	s.mu.Unlock()
	if req.bad || h == nil || h.ctx != ctx {
		return failed(rcInvalidHandle)
	}
	switch req.op {
	case opReconnect:
		return s.reconnect(h, req)
	case opDisconnect:
		return s.disconnect(h, req)
	case opBegin:
		return s.begin(h)
	case opEnd:
		return s.end(h, req)
	case opTransmit:
		return s.transmit(h, req)
	case opStatus:
		return s.status(h)
	case opAttrib:
		return s.attribute(h, req)
	case opControl:
		return s.control(h, req)
	}
	return failed(rcInvalidParameter)
}
