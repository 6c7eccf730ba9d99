//go:build cgo

package pkcs11

import (
	"errors"

	p11 "github.com/miekg/pkcs11"
)

// What miekg/pkcs11 v1.1.2 does not name (PKCS#11 v3.0).
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEDDSA               = 0x1057
	ckaPublicKeyInfo       = 0x129
)

// lib is a loaded module: the calls we make, with errors that say which call it was.
// Every method is a call into C and runs under the deadline of module.run.
type lib struct {
	c *p11.Ctx
	n native
}

// wrap turns the binding's number into a *CKRError.
func wrap(function string, err error) error {
	if err == nil {
		return nil
	}
	var code p11.Error
	if errors.As(err, &code) {
		return &CKRError{Code: uint(code), Func: function}
	}
	return err
}

func (l lib) slots(tokenPresent bool) ([]uint, error) {
	s, err := l.c.GetSlotList(tokenPresent)
	return s, wrap("C_GetSlotList", err)
}

func (l lib) slotInfo(slot uint) (p11.SlotInfo, error) {
	i, err := l.c.GetSlotInfo(slot)
	return i, wrap("C_GetSlotInfo", err)
}

func (l lib) tokenInfo(slot uint) (p11.TokenInfo, error) {
	i, err := l.c.GetTokenInfo(slot)
	i.Label, i.SerialNumber = clean(i.Label), clean(i.SerialNumber)
	i.Model, i.ManufacturerID = clean(i.Model), clean(i.ManufacturerID)
	return i, wrap("C_GetTokenInfo", err)
}

// open opens a session, read-only unless rw.
func (l lib) open(slot uint, rw bool) (p11.SessionHandle, error) {
	flags := uint(p11.CKF_SERIAL_SESSION)
	if rw {
		flags |= p11.CKF_RW_SESSION
	}
	s, err := l.c.OpenSession(slot, flags)
	return s, wrap("C_OpenSession", err)
}

func (l lib) close(s p11.SessionHandle) { _ = l.c.CloseSession(s) }

func (l lib) sessionInfo(s p11.SessionHandle) (p11.SessionInfo, error) {
	i, err := l.c.GetSessionInfo(s)
	return i, wrap("C_GetSessionInfo", err)
}

func (l lib) login(s p11.SessionHandle, user uint, pin []byte) error {
	return wrap("C_Login", l.c.Login(s, user, string(pin)))
}

func (l lib) logout(s p11.SessionHandle) error { return wrap("C_Logout", l.c.Logout(s)) }

// find lists the objects that match a template. The order is the module's.
func (l lib) find(s p11.SessionHandle, template []*p11.Attribute) ([]p11.ObjectHandle, error) {
	if err := l.c.FindObjectsInit(s, template); err != nil {
		return nil, wrap("C_FindObjectsInit", err)
	}
	var all []p11.ObjectHandle
	for {
		some, _, err := l.c.FindObjects(s, 64)
		if err != nil {
			_ = l.c.FindObjectsFinal(s)
			return nil, wrap("C_FindObjects", err)
		}
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
	}
	return all, wrap("C_FindObjectsFinal", l.c.FindObjectsFinal(s))
}

// attribute reads one attribute; nil where the token does not know it or keeps it to
// itself. One call each: a module fails a whole list for one bad entry.
func (l lib) attribute(s p11.SessionHandle, o p11.ObjectHandle, typ uint) ([]byte, error) {
	values, err := l.oneAttribute(s, o, typ)
	switch codeOf(err) {
	case ckrAttributeTypeInvalid, ckrAttributeSensitive, ckrAttributeValueInvalid, ckrFunctionNotSupported, ckrArgumentsBad:
		return nil, nil
	}
	if err != nil || len(values) != 1 {
		return nil, err
	}
	return values[0], nil
}

func (l lib) oneAttribute(s p11.SessionHandle, o p11.ObjectHandle, typ uint) ([][]byte, error) {
	if !l.n.usable() {
		return l.long(s, o, typ)
	}
	values, err := l.n.attributes(s, o, []uint{typ})
	if codeOf(err) == ckrBufferTooSmall {
		return l.long(s, o, typ)
	}
	return values, err
}

// long reads an attribute of any length: the binding asks for the length first.
func (l lib) long(s p11.SessionHandle, o p11.ObjectHandle, typ uint) ([][]byte, error) {
	got, err := l.c.GetAttributeValue(s, o, []*p11.Attribute{{Type: typ}})
	var values [][]byte
	for _, a := range got {
		values = append(values, a.Value)
	}
	return values, wrap("C_GetAttributeValue", err)
}

// attributes reads several attributes, with one call where the module has all of them.
func (l lib) attributes(s p11.SessionHandle, o p11.ObjectHandle, types ...uint) ([][]byte, error) {
	if l.n.usable() {
		if values, err := l.n.attributes(s, o, types); err == nil {
			return values, nil
		}
	}
	values := make([][]byte, len(types))
	for i, typ := range types {
		v, err := l.attribute(s, o, typ)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// signRequest is one signature as the module gets it.
type signRequest struct {
	key       p11.ObjectHandle
	mechanism uint
	parameter []byte // of the mechanism
	context   bool   // C_Login before C_Sign, with pin, or on the device where there is none
	pin       []byte
	data      []byte
}

// sign makes a signature. After an error of C_SignInit no operation is active; after
// another one there is.
func (l lib) sign(s p11.SessionHandle, r signRequest) ([]byte, error) {
	var parameter any
	if len(r.parameter) > 0 {
		parameter = r.parameter
	}
	err := l.c.SignInit(s, []*p11.Mechanism{p11.NewMechanism(r.mechanism, parameter)}, r.key)
	if err != nil {
		return nil, wrap("C_SignInit", err)
	}
	if r.context {
		if err := l.login(s, p11.CKU_CONTEXT_SPECIFIC, r.pin); err != nil {
			return nil, err
		}
	}
	if l.n.usable() {
		return l.n.sign(s, r.data)
	}
	sig, err := l.c.Sign(s, r.data)
	return sig, wrap("C_Sign", err)
}

func (l lib) generate(s p11.SessionHandle, m *p11.Mechanism, public, private []*p11.Attribute) (pub, priv p11.ObjectHandle, err error) {
	pub, priv, err = l.c.GenerateKeyPair(s, []*p11.Mechanism{m}, public, private)
	return pub, priv, wrap("C_GenerateKeyPair", err)
}

func (l lib) destroy(s p11.SessionHandle, o p11.ObjectHandle) error {
	return wrap("C_DestroyObject", l.c.DestroyObject(s, o))
}
