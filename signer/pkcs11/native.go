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
struct mechanism { unsigned long type; const void *parameter; unsigned long parameter_len; };
struct attribute { unsigned long type; void *value; unsigned long len; };
typedef unsigned long (*get_attributes)(unsigned long session, unsigned long object, struct attribute *list, unsigned long count);
typedef unsigned long (*login)(unsigned long session, unsigned long user, const unsigned char *pin, unsigned long len);
typedef unsigned long (*sign_init)(unsigned long session, struct mechanism *m, unsigned long key);
typedef unsigned long (*sign)(unsigned long session, const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long *sig_len);
enum { C_Initialize = 0, C_Login = 18, C_GetAttributeValue = 24, C_SignInit = 42, C_Sign = 43 }; // places in CK_FUNCTION_LIST
enum { CKU_CONTEXT_SPECIFIC = 2, CKR_ARGUMENTS_BAD = 7 };
enum { MOST_ATTRIBUTES = 8 };

// answer is what the function at a place answered, and the length of the signature.
struct answer { unsigned long rv, len; int place; };

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

// read_attributes reads attributes of an object, each into its share of room.
static unsigned long read_attributes(struct functions *l, unsigned long session, unsigned long object,
	const unsigned long *types, unsigned long count, unsigned char *room, unsigned long share, unsigned long *lens) {
	struct attribute list[MOST_ATTRIBUTES];
	if (count > MOST_ATTRIBUTES) return CKR_ARGUMENTS_BAD;
	for (unsigned long i = 0; i < count; i++) list[i] = (struct attribute){ types[i], room + i * share, share };
	unsigned long rv = ((get_attributes)l->f[C_GetAttributeValue])(session, object, list, count);
	for (unsigned long i = 0; i < count; i++) lens[i] = list[i].len;
	return rv;
}

static struct answer sign_once(struct functions *l, unsigned long session, const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long sig_len) {
	struct answer a = { 0, sig_len, C_Sign };
	a.rv = ((sign)l->f[C_Sign])(session, data, len, sig, &a.len);
	return a;
}

// sign_whole makes a signature from C_SignInit on. context: the key wants a login for it.
static struct answer sign_whole(struct functions *l, unsigned long session, unsigned long key,
	unsigned long type, const unsigned char *parameter, unsigned long parameter_len,
	int context, const unsigned char *pin, unsigned long pin_len,
	const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long sig_len) {
	struct mechanism m = { type, parameter_len ? parameter : NULL, parameter_len };
	struct answer a = { 0, 0, C_SignInit };
	a.rv = ((sign_init)l->f[C_SignInit])(session, &m, key);
	if (a.rv) return a;
	if (context) {
		a.place = C_Login;
		a.rv = ((login)l->f[C_Login])(session, CKU_CONTEXT_SPECIFIC, pin, pin_len);
		if (a.rv) return a;
	}
	return sign_once(l, session, data, len, sig, sig_len);
}
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	p11 "github.com/miekg/pkcs11"
)

// native is what the binding does not do: it loses why a library cannot be loaded,
// crashes on a module without a function list, cannot call C_Initialize with NULL, asks
// C_Sign for the length first, which some modules refuse, and reads an attribute twice.
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

// usualAttribute is room for what our keys have: the modulus of RSA-4096, a certificate
// of some size.
const usualAttribute = 4096

// attributes reads attributes of an object with one call, where the binding makes two:
// on a network HSM each of them is a round trip. It fails, with whatever code, where one
// is not there or longer than usual.
func (n native) attributes(s p11.SessionHandle, o p11.ObjectHandle, types []uint) ([][]byte, error) {
	numbers := make([]C.ulong, len(types))
	for i, typ := range types {
		numbers[i] = C.ulong(typ)
	}
	lens := make([]C.ulong, len(types))
	room := make([]byte, len(types)*usualAttribute)
	rv := C.read_attributes(n.list, C.ulong(s), C.ulong(o), unsafe.SliceData(numbers), C.ulong(len(types)),
		(*C.uchar)(unsafe.SliceData(room)), usualAttribute, unsafe.SliceData(lens))
	if err := answered("C_GetAttributeValue", rv); err != nil {
		return nil, err
	}
	values := make([][]byte, len(types))
	for i, length := range lens {
		if length > usualAttribute {
			return nil, &CKRError{Code: ckrBufferTooSmall, Func: "C_GetAttributeValue"}
		}
		values[i] = bytes.Clone(room[i*usualAttribute:][:length])
	}
	return values, nil
}

// request is one signature as C gets it.
type request struct {
	key       p11.ObjectHandle
	mechanism uint
	parameter []byte // of the mechanism
	context   bool   // C_Login before C_Sign, with pin, or on the device where there is none
	pin       []byte
	data      []byte
	room      []byte // for the signature
}

// usualSignature is room for what our keys sign: RSA-4096 takes as much.
const usualSignature = 512

// sign makes a signature with one step into C. Everything was allocated before: this
// runs on a stack that is 2 KiB, and copying that to a larger one takes longer than all
// else around the call.
func (n native) sign(s p11.SessionHandle, r request) ([]byte, error) {
	a := C.sign_whole(n.list, C.ulong(s), C.ulong(r.key),
		C.ulong(r.mechanism), (*C.uchar)(unsafe.SliceData(r.parameter)), C.ulong(len(r.parameter)),
		number(r.context), (*C.uchar)(unsafe.SliceData(r.pin)), C.ulong(len(r.pin)),
		(*C.uchar)(unsafe.SliceData(r.data)), C.ulong(len(r.data)),
		(*C.uchar)(unsafe.SliceData(r.room)), C.ulong(len(r.room)))
	if a.rv == ckrOK && a.len <= C.ulong(len(r.room)) {
		return r.room[:a.len:a.len], nil
	}
	return n.signAgain(s, r, a)
}

// signAgain gives the error, or goes on after CKR_BUFFER_TOO_SMALL, which leaves the
// operation active (PKCS#11, section 5.2).
func (n native) signAgain(s p11.SessionHandle, r request, a C.struct_answer) ([]byte, error) {
	if a.rv == ckrBufferTooSmall && a.place == C.C_Sign && a.len > C.ulong(len(r.room)) && a.len <= 1<<16 {
		r.room = make([]byte, a.len)
		a = C.sign_once(n.list, C.ulong(s), (*C.uchar)(unsafe.SliceData(r.data)), C.ulong(len(r.data)),
			(*C.uchar)(unsafe.SliceData(r.room)), C.ulong(len(r.room)))
	}
	if err := answered(used()[a.place], a.rv); err != nil {
		return nil, err
	}
	if a.len > C.ulong(len(r.room)) {
		return nil, &CKRError{Code: ckrBufferTooSmall, Func: "C_Sign"}
	}
	return r.room[:a.len:a.len], nil
}

func number(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func answered(function string, rv C.ulong) error {
	if rv == ckrOK {
		return nil
	}
	return &CKRError{Code: uint(rv), Func: function}
}
