//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Report implements signer.Reporter: what a module, its tokens and the objects that they
// show without a login look like. No PIN is used, and there is no label, serial number,
// ID or public key in it, only in which form they come.
func (b *Backend) Report(ctx context.Context, u signer.URI) ([]signer.Report, error) {
	m, err := b.module(u)
	if err != nil {
		return nil, failed("reporting on", u, nil, err)
	}
	var out []signer.Report
	err = b.startUp(ctx, m, "looking at the module", func() error {
		out = []signer.Report{m.report()}
		ids, err := m.lib.occupied()
		for i, id := range ids {
			info, err := m.lib.tokenInfo(id)
			if err == nil && !m.lib.matches(slot{id, info}, tokenURI(u)) {
				continue
			}
			r := signer.Report{Device: fmt.Sprintf("token %d of %d in the module", i+1, len(ids))}
			if err != nil {
				r.Facts = []signer.Fact{{Name: "problem", Value: err.Error()}}
			} else {
				r.Facts = m.lib.reportToken(id, info)
			}
			out = append(out, r)
		}
		return err
	})
	if err != nil {
		return nil, failed("reporting on", u, nil, err)
	}
	return out, nil
}

// facts collects what is told.
type facts []signer.Fact

func (f *facts) add(name, format string, args ...any) {
	*f = append(*f, signer.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
}

func (m *module) report() signer.Report {
	var f facts
	f.add("kind", "pkcs11")
	if i, err := m.lib.c.GetInfo(); err != nil {
		f.add("library", "%v", wrap("C_GetInfo", err))
	} else {
		f.add("library", "%s, %s, version %d.%d", clean(i.ManufacturerID), clean(i.LibraryDescription), i.LibraryVersion.Major, i.LibraryVersion.Minor)
		f.add("Cryptoki", "%d.%d", i.CryptokiVersion.Major, i.CryptokiVersion.Minor)
	}
	f.add("threads", "%s", map[bool]string{true: "one at a time", false: "several"}[m.oneAtATime.Load()])
	f.add("single calls", "%s", map[bool]string{true: "yes", false: "through the binding"}[m.lib.n.usable()])
	all, err := m.lib.slots(false)
	f.add("slots", "%d%s", len(all), problem(err))
	return signer.Report{Device: fmt.Sprintf("module %q", filepath.Base(m.path)), Facts: f}
}

func problem(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// reportToken tells of a token what it says to anybody.
func (l lib) reportToken(id uint, i p11.TokenInfo) []signer.Fact {
	var f facts
	f.add("token", "%s, %s, hardware %d.%d, firmware %d.%d", i.ManufacturerID, i.Model,
		i.HardwareVersion.Major, i.HardwareVersion.Minor, i.FirmwareVersion.Major, i.FirmwareVersion.Minor)
	f.add("label", "%d bytes", len(i.Label))
	f.add("serial number", "%s", map[bool]string{true: "all zeros or none", false: "there"}[strings.Trim(i.SerialNumber, "0") == ""])
	f.add("flags", "0x%x (%s)", i.Flags, strings.Join(flagWords(i.Flags), ", "))
	f.add("sessions", "at most 0x%x, 0x%x that write", i.MaxSessionCount, i.MaxRwSessionCount)
	f.add("PIN", "%d to %d bytes", i.MinPinLen, i.MaxPinLen)
	f.add("mechanisms", "%s", l.reportMechanisms(id))
	s, err := l.open(id, false)
	if err != nil {
		f.add("session", "%v", err)
		return f
	}
	defer l.close(s)
	for _, c := range []struct {
		class uint
		name  string
	}{{p11.CKO_PRIVATE_KEY, "private key"}, {p11.CKO_PUBLIC_KEY, "public key"}, {p11.CKO_CERTIFICATE, "certificate"}} {
		l.reportObjects(&f, s, c.class, c.name)
	}
	return f
}

// reportMechanisms lists those that make or use keys of our kinds, with their flags.
func (l lib) reportMechanisms(id uint) string {
	list, err := l.c.GetMechanismList(id)
	if err != nil {
		return wrap("C_GetMechanismList", err).Error()
	}
	var words []string
	for _, ours := range []struct {
		number uint
		name   string
	}{
		{p11.CKM_EC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN"}, {p11.CKM_ECDSA, "CKM_ECDSA"}, {p11.CKM_ECDSA_SHA256, "CKM_ECDSA_SHA256"},
		{ckmECEdwardsKeyPairGen, "CKM_EC_EDWARDS_KEY_PAIR_GEN"}, {ckmEDDSA, "CKM_EDDSA"},
		{p11.CKM_RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN"}, {p11.CKM_RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS"}, {p11.CKM_SHA256_RSA_PKCS_PSS, "CKM_SHA256_RSA_PKCS_PSS"},
	} {
		for _, m := range list {
			if m.Mechanism != ours.number {
				continue
			}
			info, err := l.c.GetMechanismInfo(id, []*p11.Mechanism{m})
			words = append(words, fmt.Sprintf("%s (flags 0x%x, %d to %d)%s", ours.name, info.Flags, info.MinKeySize, info.MaxKeySize, problem(wrap("C_GetMechanismInfo", err))))
		}
	}
	return fmt.Sprintf("%d, of ours %s", len(list), strings.Join(words, "; "))
}

// mostReported bounds the objects of a class that are described.
const mostReported = 8

// reportObjects tells in which form objects show their attributes.
func (l lib) reportObjects(f *facts, s p11.SessionHandle, class uint, name string) {
	handles, err := l.find(s, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class)})
	f.add(name+"s seen without a login", "%d%s", len(handles), problem(err))
	for i, h := range handles[:min(len(handles), mostReported)] {
		f.add(fmt.Sprintf("%s %d", name, i+1), "%s", l.attributeForms(s, h))
	}
}

func (l lib) attributeForms(s p11.SessionHandle, h p11.ObjectHandle) string {
	var words []string
	for _, a := range []struct {
		typ  uint
		name string
		form func([]byte) string
	}{
		{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", wholly}, {p11.CKA_ID, "CKA_ID", length}, {p11.CKA_LABEL, "CKA_LABEL", length},
		{p11.CKA_EC_PARAMS, "CKA_EC_PARAMS", wholly}, {p11.CKA_EC_POINT, "CKA_EC_POINT", beginning},
		{p11.CKA_MODULUS, "CKA_MODULUS", length}, {p11.CKA_PUBLIC_EXPONENT, "CKA_PUBLIC_EXPONENT", wholly},
		{ckaPublicKeyInfo, "CKA_PUBLIC_KEY_INFO", length}, {p11.CKA_SIGN, "CKA_SIGN", wholly}, {p11.CKA_LOCAL, "CKA_LOCAL", wholly},
		{p11.CKA_SENSITIVE, "CKA_SENSITIVE", wholly}, {p11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", wholly},
		{p11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", wholly}, {p11.CKA_ALWAYS_AUTHENTICATE, "CKA_ALWAYS_AUTHENTICATE", wholly},
		{p11.CKA_KEY_GEN_MECHANISM, "CKA_KEY_GEN_MECHANISM", wholly},
	} {
		v, err := l.oneAttribute(s, h, a.typ)
		var ckr *CKRError
		switch {
		case errors.As(err, &ckr):
			words = append(words, a.name+" "+ckr.Name())
		case err == nil && len(v) == 1:
			words = append(words, a.name+" "+a.form(v[0]))
		}
	}
	return strings.Join(words, ", ")
}

// wholly prints a value that tells nothing of whose key it is.
func wholly(v []byte) string { return fmt.Sprintf("%x", v) }

// length prints how long a value is.
func length(v []byte) string { return fmt.Sprintf("%d bytes", len(v)) }

// beginning prints how long a point is, and the header around it.
func beginning(v []byte) string {
	header := 1
	for _, b := range unwrapped(v) {
		if len(b) < len(v) {
			header = len(v) - len(b)
		}
	}
	if len(v) == 32 || len(v) == 64 {
		header = 0 // no header: the first byte is the key's
	}
	return fmt.Sprintf("%d bytes, beginning %x", len(v), v[:min(header, len(v), 8)])
}
