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
struct attribute { unsigned long type; void *value; unsigned long len; };
typedef unsigned long (*get_attributes)(unsigned long session, unsigned long object, struct attribute *list, unsigned long count);
typedef unsigned long (*sign)(unsigned long session, const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long *sig_len);
enum { C_Initialize = 0, C_GetAttributeValue = 24, C_Sign = 43 }; // their index in CK_FUNCTION_LIST
enum { CKR_ARGUMENTS_BAD = 7, MOST_ATTRIBUTES = 8 };

// load gives the handle of a library, or why there is none; the caller frees that.
static void *load(const char *path, char **why) {
	void *handle = dlopen(path, RTLD_LAZY);
	const char *said = handle ? NULL : dlerror();
	if (!handle) *why = strdup(said ? said : "the system does not say why");
	return handle;
}

static int has_functions(void *handle) { return dlsym(handle, "C_GetFunctionList") != NULL; }

static int has(struct functions *l, int index) { return l->f[index] != NULL; }

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

static unsigned long sign_once(struct functions *l, unsigned long session, const unsigned char *data, unsigned long len, unsigned char *sig, unsigned long *sig_len) {
	return ((sign)l->f[C_Sign])(session, data, len, sig, sig_len);
}
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	p11 "github.com/miekg/pkcs11"
)

// native is what the binding cannot do, on the module's own function list. C_Sign and
// C_GetAttributeValue are called once, where the binding asks for the length first: one
// more round trip to a network HSM (p11-kit's client sends each), and there are modules
// that refuse the question. C_Initialize is called with NULL for modules without
// threads. The zero value has no list: then the binding makes these calls.
type native struct{ list *C.struct_functions }

func (n native) usable() bool { return n.list != nil }

// neededFunctions are those that are called, by their index in CK_FUNCTION_LIST. A
// module must have all of them, if only to say that it cannot.
func neededFunctions() map[C.int]string {
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
	list, known := functionsOf(c)
	if !known {
		return lib{c: c}, nil
	}
	if list == nil {
		return fail("it does not give its functions (C_GetFunctionList)", nil)
	}
	for index, function := range neededFunctions() {
		if C.has(list, index) == 0 {
			return fail(fmt.Sprintf("it is broken: it has no %s", function), nil)
		}
	}
	return lib{c, native{list}}, nil
}

// functionsOf takes the function list out of the binding. Asking the module for another
// one will not do: p11-kit's client gives each caller a module of its own. known is
// false where the binding is not built as this code knows it (a handle, and the list
// under the name sym), or where the list's version is not one of Cryptoki's.
func functionsOf(c *p11.Ctx) (list *C.struct_functions, known bool) {
	held, ok := reflect.TypeFor[p11.Ctx]().FieldByName("ctx")
	if !ok || held.Type.Kind() != reflect.Pointer || held.Type.Elem().Kind() != reflect.Struct {
		return nil, false
	}
	sym, ok := held.Type.Elem().FieldByName("sym")
	if !ok || sym.Type.Kind() != reflect.Pointer {
		return nil, false
	}
	ctx := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(c), held.Offset))
	if ctx == nil {
		return nil, false
	}
	list = *(**C.struct_functions)(unsafe.Add(ctx, sym.Offset))
	if list != nil && (list.version[0] < 1 || list.version[0] > 3) {
		return nil, false
	}
	return list, true
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

// attributes reads attributes of an object. It fails, with whatever code, where one is
// not there or longer than usual.
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

// usualSignature is room for what our keys sign: RSA-4096 takes as much.
const usualSignature = 512

// sign calls C_Sign, and a second time after CKR_BUFFER_TOO_SMALL, which leaves the
// operation active (PKCS#11, section 5.2).
func (n native) sign(s p11.SessionHandle, data []byte) ([]byte, error) {
	room := make([]byte, usualSignature)
	length := C.ulong(len(room))
	once := func() C.ulong {
		return C.sign_once(n.list, C.ulong(s), (*C.uchar)(unsafe.SliceData(data)), C.ulong(len(data)),
			(*C.uchar)(unsafe.SliceData(room)), &length)
	}
	rv := once()
	if rv == ckrBufferTooSmall && length > usualSignature && length <= 1<<16 {
		room = make([]byte, length)
		rv = once()
	}
	if err := answered("C_Sign", rv); err != nil {
		return nil, err
	}
	if length > C.ulong(len(room)) {
		return nil, &CKRError{Code: ckrBufferTooSmall, Func: "C_Sign"}
	}
	return room[:length:length], nil
}

func answered(function string, rv C.ulong) error {
	if rv == ckrOK {
		return nil
	}
	return &CKRError{Code: uint(rv), Func: function}
}
