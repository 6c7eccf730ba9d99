//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	p11 "github.com/miekg/pkcs11"
	"golang.org/x/sys/unix"
)

// loaded mirrors what the C world keeps for the whole process anyway: a module is
// loaded once, and C_Initialize counts for everybody in the process. So two backends
// must share one entry, and one lock, or the first C_Finalize kills the other one's
// signatures together with the process.
var loaded = struct {
	sync.Mutex
	modules map[string]*module // by resolved path
}{modules: map[string]*module{}}

// module is a loaded PKCS#11 library.
type module struct {
	path     string // resolved
	initArgs string
	lib      lib

	// mu: reading while calls are made, writing while the library is initialised,
	// finalised or its sessions are replaced. It is only ever taken in goroutines
	// that may be abandoned (run), because a module that hangs holds it for ever.
	mu sync.RWMutex
	// The fields below are guarded by mu.
	initialized bool
	owner       bool // C_Initialize was ours; what somebody else began, we never end
	epoch       int  // counts C_Initialize; handles of older epochs are void

	oneAtATime atomic.Bool // the module has no locks of its own: every call is alone

	users atomic.Int32 // backends
	stuck atomic.Int32 // calls that were given up on and have not returned
}

// acquire finds or makes the entry of a module for one more backend. It checks the
// file before anything of it runs, but does not load it.
func acquire(c chosen) (*module, error) {
	resolved, err := checkModule(c.path)
	if err != nil {
		return nil, err
	}
	loaded.Lock()
	defer loaded.Unlock()
	m := loaded.modules[resolved]
	if m == nil {
		m = &module{path: resolved, initArgs: c.initArgs}
		loaded.modules[resolved] = m
	}
	m.users.Add(1)
	return m, nil
}

// initialize loads the library and calls C_Initialize where that has not happened.
// The caller holds mu for writing.
func (m *module) initialize() error {
	if m.initialized {
		return nil
	}
	if m.users.Load() == 0 {
		return permanentError{errClosed} // a call that was given up on, after the last backend has gone
	}
	if m.lib.c == nil {
		l, err := loadLib(m.path)
		if err != nil {
			return err
		}
		m.lib = l
	}
	err := turn(m.path, unix.LOCK_SH, m.callInitialize)
	if err == nil {
		m.owner = true
	}
	if codeOf(err) == ckrCryptokiAlreadyInitialize {
		err = nil
	}
	if err != nil {
		if why := whyNotInitialized(m.path); why != "" {
			return &ModuleError{Path: m.path, Code: "module-init", Reason: why, Err: err}
		}
		return &ModuleError{Path: m.path, Code: "module-init", Reason: "does not start; its configuration, or a daemon that is not running, is the usual cause", Err: err}
	}
	m.initialized = true
	m.epoch++
	return nil
}

// callInitialize asks for a module that several threads may call at once. One that
// cannot, or that takes no arguments at all, is called by one thread at a time.
func (m *module) callInitialize() error {
	err := wrap("C_Initialize", m.lib.c.Initialize(m.reserved()...))
	if m.initArgs != "" {
		return err
	}
	switch codeOf(err) {
	case ckrCantLock, ckrNeedToCreateThreads, ckrArgumentsBad:
	default:
		return err
	}
	if !m.lib.n.usable() {
		return err
	}
	if plain := m.lib.n.initializePlainly(); codeOf(plain) == codeOf(err) {
		return err
	} else if plain != nil {
		return errors.Join(err, plain)
	}
	m.oneAtATime.Store(true)
	return nil
}

// reserved hands initArgs to C_Initialize as a C string. The bytes live as long as the
// call; modules copy what they keep.
func (m *module) reserved() []p11.InitializeOption {
	if m.initArgs == "" {
		return nil
	}
	b := append([]byte(m.initArgs), 0)
	return []p11.InitializeOption{p11.InitializeWithReserved(unsafe.Pointer(&b[0]))}
}

// finalize undoes initialize. The caller holds mu for writing, so no call is under way:
// a C_Finalize under a running C_Sign kills the process.
func (m *module) finalize() {
	if !m.initialized {
		return
	}
	m.initialized = false
	m.epoch++
	if !m.owner {
		return
	}
	err := wrap("C_Finalize", m.lib.c.Finalize())
	m.owner = err != nil && codeOf(err) != ckrCryptokiNotInitialized
}

// release gives a module back; the last backend shuts it down. The library stays
// loaded: unloading code that may still have threads in it kills the process.
func (m *module) release(limit time.Duration) error {
	if m.users.Add(-1) > 0 {
		return nil
	}
	return m.run(context.Background(), "shutting it down", limit, true, func() error {
		if m.users.Load() == 0 { // nobody came in the meantime
			m.finalize()
		}
		return nil
	})
}
