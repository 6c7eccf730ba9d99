//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
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

	users atomic.Int32 // backends
	stuck atomic.Int32 // calls that were given up on and are still out
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

// DeadlineError: a call into the module did not come back in time. The module is
// refused as long as the call is out. It matches signer.ErrDeadline.
type DeadlineError struct {
	Doing string // "C_Sign" or what was being done
	After time.Duration
	Path  string // the module
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("PKCS#11 module %q did not answer within %v while %s", e.Path, e.After, e.Doing)
}

// Is makes errors.Is(err, signer.ErrDeadline) hold.
func (e *DeadlineError) Is(target error) bool { return target == signer.ErrDeadline }

// hanging refuses a module that has not come back from an earlier call.
func (m *module) hanging(doing string) error {
	if m.stuck.Load() == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: an earlier call into PKCS#11 module %q has not come back", doing, signer.ErrDeadline, m.path)
}

// run makes calls into C: f runs in a goroutine that is left behind when the deadline
// passes or ctx ends, because C calls cannot be interrupted. f must put its results
// where only it and, after a nil error, the caller look. exclusive takes the write
// side of the module's lock.
func (m *module) run(ctx context.Context, doing string, limit time.Duration, exclusive bool, f func() error) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	if err := m.hanging(doing); err != nil {
		return err
	}
	c := &call{m: m, done: make(chan error, 1)}
	go c.make(exclusive, f)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	start := time.Now()
	select {
	case err := <-c.done:
		return err
	case <-timer.C:
		if !c.giveUp() {
			return <-c.done
		}
		return &DeadlineError{Doing: doing, After: limit, Path: m.path}
	case <-ctx.Done():
		// The call may well come back in its time; only if it does not is the module
		// at fault.
		time.AfterFunc(limit-time.Since(start), func() { c.giveUp() })
		return canceled(ctx)
	}
}

// call is one goroutine in C.
type call struct {
	m     *module
	state atomic.Int32 // callOut, callBack or callStuck
	done  chan error   // buffered: nobody may be listening any more
}

const (
	callOut int32 = iota
	callBack
	callStuck
)

func (c *call) make(exclusive bool, f func() error) {
	err := c.m.locked(exclusive, f)
	if !c.state.CompareAndSwap(callOut, callBack) {
		c.m.stuck.Add(-1) // it was given up on, and here it is
	}
	c.done <- err
}

// giveUp marks a call as stuck, unless it came back this instant.
func (c *call) giveUp() bool {
	c.m.stuck.Add(1)
	if c.state.CompareAndSwap(callOut, callStuck) {
		return true
	}
	c.m.stuck.Add(-1)
	return false
}

func (m *module) locked(exclusive bool, f func() error) error {
	if exclusive {
		m.mu.Lock()
		defer m.mu.Unlock()
	} else {
		m.mu.RLock()
		defer m.mu.RUnlock()
	}
	return f()
}

// canceled gives the error of a context that has ended: signer.ErrCanceled, or
// signer.ErrDeadline where its own deadline passed. The context's error stays in it.
func canceled(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", signer.ErrDeadline, err)
	default:
		return fmt.Errorf("%w: %w", signer.ErrCanceled, err)
	}
}

// initialize loads the library and calls C_Initialize where that has not happened.
// The caller holds mu for writing.
func (m *module) initialize() error {
	if m.initialized {
		return nil
	}
	if m.lib.c == nil {
		c := p11.New(m.path)
		if c == nil {
			return &ModuleError{Path: m.path, Code: "module-load", Reason: whyNotLoaded(m.path)}
		}
		m.lib = lib{c}
	}
	err := wrap("C_Initialize", m.lib.c.Initialize(m.reserved()...))
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
