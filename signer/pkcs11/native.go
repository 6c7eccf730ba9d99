//go:build cgo

package pkcs11

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// What is used here of PKCS#11's C types (pkcs11.h and pkcs11t.h, v2.40).
struct functions { unsigned char version[2]; void *f[68]; };
typedef unsigned long (*initialize)(void *args);
typedef unsigned long (*sign)(unsigned long session, const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long *sig_len);
enum { C_Initialize = 0, C_Sign = 43 }; // places in CK_FUNCTION_LIST

// load gives the handle of a library, or why there is none; the caller frees that.
static void *load(const char *path, char **why) {
	void *handle = dlopen(path, RTLD_LAZY);
	const char *said = handle ? NULL : dlerror();
	if (!handle) *why = strdup(said ? said : "the system does not say why");
	return handle;
}

static int has_functions(void *handle) { return dlsym(handle, "C_GetFunctionList") != NULL; }

static int has(struct functions *l, int place) { return l->f[place] != NULL; }

static unsigned long initialize_plainly(struct functions *l) { return ((initialize)l->f[C_Initialize])(NULL); }

static unsigned long sign_at_once(struct functions *l, unsigned long session, const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long *sig_len) {
	return ((sign)l->f[C_Sign])(session, data, len, sig, sig_len);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	p11 "github.com/miekg/pkcs11"
)

// native is what the binding does not do: it loses why a library cannot be loaded,
// crashes on a module without a function list, cannot call C_Initialize with NULL, and
// asks C_Sign for the length first, which some modules refuse.
type native struct{ list *C.struct_functions }

// used are the functions that are called, by their place in CK_FUNCTION_LIST. A
// module must have all of them, if only to say that it cannot.
func used() map[C.int]string {
	return map[C.int]string{
		0: "C_Initialize", 1: "C_Finalize", 2: "C_GetInfo", 4: "C_GetSlotList", 5: "C_GetSlotInfo", 6: "C_GetTokenInfo",
		9: "C_InitToken", 10: "C_InitPIN", 11: "C_SetPIN", 12: "C_OpenSession", 13: "C_CloseSession",
		15: "C_GetSessionInfo", 18: "C_Login", 19: "C_Logout", 22: "C_DestroyObject", 24: "C_GetAttributeValue",
		26: "C_FindObjectsInit", 27: "C_FindObjects", 28: "C_FindObjectsFinal", 42: "C_SignInit", 43: "C_Sign",
		59: "C_GenerateKeyPair",
	}
}

// loadLib loads a module. Errors are *ModuleError.
func loadLib(path string) (lib, error) {
	fail := func(reason string, err error) (lib, error) {
		return lib{}, &ModuleError{Path: path, Code: "module-load", Reason: reason, Err: err}
	}
	c := p11.New(path)
	if c == nil {
		return fail(whyNotLoaded(path))
	}
	n := native{functionsOf(c)}
	if n.list == nil {
		return fail("it does not give its functions (C_GetFunctionList)", nil)
	}
	for place, function := range used() {
		if C.has(n.list, place) == 0 {
			return fail(fmt.Sprintf("it is broken: it has no %s", function), nil)
		}
	}
	return lib{c, n}, nil
}

// functionsOf takes the function list out of the binding. Asking the module for another
// one will not do: p11-kit's client gives each caller a module of its own. The binding
// is pinned in go.mod; struct ctx in its pkcs11.go is a handle and the list.
func functionsOf(c *p11.Ctx) *C.struct_functions {
	held := (*struct{ ctx *[2]unsafe.Pointer })(unsafe.Pointer(c))
	return (*C.struct_functions)(held.ctx[1])
}

// whyNotLoaded loads it again for what the system says of it.
func whyNotLoaded(path string) (string, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why *C.char
	handle := C.load(name, &why)
	switch {
	case handle == nil:
		defer C.free(unsafe.Pointer(why))
		return "the system cannot load it", errors.New(C.GoString(why))
	case C.has_functions(handle) == 0:
		return "it is a shared library, but no PKCS#11 module: it has no C_GetFunctionList", nil
	}
	return "the system cannot load it", nil
}

// initializePlainly calls C_Initialize with NULL: one thread at a time, says the
// caller.
func (n native) initializePlainly() error {
	return answered("C_Initialize", C.initialize_plainly(n.list))
}

// usualSignature has room for what any key of ours signs: RSA-8192 takes as much.
const usualSignature = 1024

// sign calls C_Sign with a buffer from the start.
func (n native) sign(s p11.SessionHandle, data []byte) ([]byte, error) {
	in := data
	if len(in) == 0 {
		in = make([]byte, 1) // some address
	}
	for size := uint(usualSignature); ; {
		sig := make([]byte, size)
		length := C.ulong(size)
		err := answered("C_Sign", C.sign_at_once(n.list, C.ulong(s),
			(*C.uchar)(unsafe.SliceData(in)), C.ulong(len(data)), (*C.uchar)(unsafe.SliceData(sig)), &length))
		// The operation goes on after CKR_BUFFER_TOO_SMALL (PKCS#11, section 5.2).
		if codeOf(err) == ckrBufferTooSmall && uint(length) > size && length <= 1<<16 {
			size = uint(length)
			continue
		}
		if err != nil {
			return nil, err
		}
		if uint(length) > size {
			return nil, &CKRError{Code: ckrBufferTooSmall, Func: "C_Sign"}
		}
		return sig[:length:length], nil
	}
}

func answered(function string, rv C.ulong) error {
	if rv == ckrOK {
		return nil
	}
	return &CKRError{Code: uint(rv), Func: function}
}
