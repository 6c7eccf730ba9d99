package card

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// attest is Yubico's ATTEST (F9): a certificate over the key in slot p1, signed by
// the attestation key. Only for keys that were made on the card.
func (c *Card) attest(cmd command) ([]byte, uint16) {
	s, f9 := c.slotOf(cmd.p1), c.slotOf(slotAttestation)
	if s == nil || s.Origin != fromCard || cmd.p1 == slotAttestation {
		return nil, swData
	}
	issuer, ok := c.attestationCertificate()
	if f9 == nil || !ok {
		return nil, swConditions
	}
	extensions, err := c.statements(s)
	if err != nil {
		return nil, swConditions
	}
	from, to := validity()
	tmpl := &x509.Certificate{
		SerialNumber: randomNumber(), NotBefore: from, NotAfter: to, ExtraExtensions: extensions,
		Subject: pkix.Name{CommonName: fmt.Sprintf("YubiKey PIV Attestation %02x", cmd.p1)},
	}
	der, err := signCertificate(tmpl, issuer, public(s.key), f9.key)
	if err != nil {
		return nil, swConditions
	}
	return der, swOK
}

func signCertificate(tmpl, issuer *x509.Certificate, pub, key any) ([]byte, error) {
	switch key.(type) {
	case *ecdsa.PrivateKey, *rsa.PrivateKey:
		return x509.CreateCertificate(rand.Reader, tmpl, issuer, pub, key)
	}
	return nil, fmt.Errorf("attestation key of type %T", key)
}

// attestationCertificate reads the certificate object of slot f9.
func (c *Card) attestationCertificate() (*x509.Certificate, bool) {
	items, ok := parseTLV(c.state.Objects[objectAttestation])
	if !ok {
		return nil, false
	}
	der, _ := find(items, 0x70)
	cert, err := x509.ParseCertificate(der)
	return cert, err == nil
}

// statements are Yubico's extensions: firmware, serial, policies, form factor (the
// last from firmware 5).
func (c *Card) statements(s *slot) ([]pkix.Extension, error) {
	serial, err := asn1.Marshal(int64(c.cfg.Serial))
	if err != nil {
		return nil, err
	}
	v := c.cfg.Firmware
	list := []pkix.Extension{
		{Id: yubicoOID(3), Value: v[:]},
		{Id: yubicoOID(7), Value: serial},
		{Id: yubicoOID(8), Value: []byte{s.PIN, s.Touch}},
	}
	if c.atLeast(5, 0) {
		list = append(list, pkix.Extension{Id: yubicoOID(9), Value: []byte{c.cfg.FormFactor}})
	}
	return list, nil
}

func yubicoOID(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, n}
}

func (c *Card) version() string {
	v := c.cfg.Firmware
	return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
}
