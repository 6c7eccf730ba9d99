package piv

import (
	"bytes"
	"crypto/x509"
	_ "embed"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Yubico's certificates, as they are in piv-go v2.6.0, which keeps them to itself
// and cannot be linked without cgo. Published at https://developers.yubico.com/PKI/.
var (
	//go:embed yubico/roots.pem
	yubicoRoots []byte
	//go:embed yubico/intermediates.pem
	yubicoIntermediates []byte
)

// The names under which a YubiKey issues: its own attestation key (slot F9) and the
// keys that it attests, which end in the slot in hexadecimal.
const (
	deviceName = "Yubico PIV Attestation"
	leafPrefix = "YubiKey PIV Attestation "
)

// verifyChainPEM checks a chain in PEM, leaf first.
func verifyChainPEM(chainPEM, extraRoots []byte) (signer.Attestation, error) {
	certs, err := parsePEM(chainPEM)
	if err != nil {
		return signer.Attestation{}, badAttestation("stored chain: %w", err)
	}
	if len(certs) == 0 {
		return signer.Attestation{}, badAttestation("no certificate in it")
	}
	return verifyChain(certs[0], certs[1:], extraRoots)
}

// verifyChain checks a leaf through the certificates that came with it, and
// Yubico's intermediate ones, up to Yubico's roots or extraRoots.
func verifyChain(leaf *x509.Certificate, between []*x509.Certificate, extraRoots []byte) (signer.Attestation, error) {
	chain, err := chainOf(leaf, between, extraRoots)
	if err != nil {
		return signer.Attestation{}, err
	}
	a, err := readAttestation(leaf)
	if err != nil {
		return signer.Attestation{}, badAttestation("%w", err)
	}
	top := chain[len(chain)-1]
	if a.Slot == "" && isYubico(top) {
		// The same roots certify FIDO, OpenPGP and other keys of the device.
		return signer.Attestation{}, badAttestation("%q is not the attestation of a PIV key", leaf.Subject.CommonName)
	}
	a.Root = top.Subject.String()
	for _, c := range chain[:len(chain)-1] {
		a.Chain = append(a.Chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return a, nil
}

// chainOf gives the certificates from leaf to a trusted root.
func chainOf(leaf *x509.Certificate, between []*x509.Certificate, extraRoots []byte) ([]*x509.Certificate, error) {
	roots, err := rootPool(extraRoots)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(yubicoIntermediates)
	for _, c := range between {
		pool.AddCert(asIssuer(c))
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, badAttestation("%w", err)
	}
	return chains[0], nil
}

func isYubico(root *x509.Certificate) bool {
	roots, err := parsePEM(yubicoRoots)
	return err == nil && slices.ContainsFunc(roots, root.Equal)
}

// asIssuer lets the attestation certificate of a YubiKey 4 issue: some have no basic
// constraints (RFC 5280, section 4.2.1.9), and Go refuses those as a CA.
func asIssuer(c *x509.Certificate) *x509.Certificate {
	if c.BasicConstraintsValid || c.Subject.CommonName != deviceName {
		return c
	}
	fixed := *c
	fixed.BasicConstraintsValid, fixed.IsCA, fixed.MaxPathLen, fixed.MaxPathLenZero = true, true, 0, true
	return &fixed
}

func rootPool(extra []byte) (*x509.CertPool, error) {
	roots, err := parsePEM(yubicoRoots)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range roots {
		if c.MaxPathLenZero {
			// The U2F root allows no certificate between itself and the leaf, yet signed
			// the attestation certificates of YubiKeys made before 2018.
			c.MaxPathLen, c.MaxPathLenZero = 1, false
		}
		pool.AddCert(c)
	}
	more, err := parsePEM(extra)
	if err != nil {
		return nil, badAttestation("roots that were given: %w", err)
	}
	if len(bytes.TrimSpace(extra)) > 0 && len(more) == 0 {
		return nil, badAttestation("roots that were given: no certificate in PEM form")
	}
	for _, c := range more {
		pool.AddCert(c)
	}
	return pool, nil
}

func parsePEM(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			return certs, nil
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a PEM block of type %q among certificates", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
}

func badAttestation(format string, args ...any) error {
	return fmt.Errorf("%w: %w", signer.ErrAttestation, fmt.Errorf(format, args...))
}

// readAttestation reads what Yubico puts into the certificate of an attested key
// (https://developers.yubico.com/PIV/Introduction/PIV_attestation.html). What is
// absent stays empty: other vendors, and cards that hide their serial number.
func readAttestation(leaf *x509.Certificate) (signer.Attestation, error) {
	a := signer.Attestation{Public: leaf.PublicKey, NotBefore: leaf.NotBefore}
	if slot, ok := strings.CutPrefix(leaf.Subject.CommonName, leafPrefix); ok {
		a.Slot = strings.ToLower(slot)
	}
	for _, ext := range leaf.Extensions {
		if err := readExtension(&a, ext.Id.String(), ext.Value); err != nil {
			return a, fmt.Errorf("extension %s: %w", ext.Id, err)
		}
	}
	if v, ok := parseVersion(a.Firmware); ok {
		alg, _ := signer.AlgorithmOf(a.Public) // of another kind: every flaw is named
		a.Warnings = advice(v, alg)
	}
	return a, nil
}

func readExtension(a *signer.Attestation, id string, v []byte) error {
	switch id {
	case "1.3.6.1.4.1.41482.3.3":
		if len(v) != 3 {
			return errLength(3, v)
		}
		a.Firmware = fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
	case "1.3.6.1.4.1.41482.3.7":
		var n int64
		if rest, err := asn1.Unmarshal(v, &n); err != nil || len(rest) != 0 || n < 0 {
			return errors.New("not a serial number")
		}
		a.Serial = strconv.FormatInt(n, 10)
	case "1.3.6.1.4.1.41482.3.8":
		if len(v) != 2 {
			return errLength(2, v)
		}
		a.PINPolicy, a.TouchPolicy = pinPolicyName(v[0]), touchPolicyName(v[1])
	case "1.3.6.1.4.1.41482.3.9":
		if len(v) != 1 {
			return errLength(1, v)
		}
		a.FormFactor = formFactorName(v[0])
	}
	return nil
}

func errLength(want int, v []byte) error {
	return fmt.Errorf("%d bytes, want %d", len(v), want)
}

// pinPolicyName names a PIN policy as it is coded in commands and certificates.
func pinPolicyName(b byte) string {
	switch b {
	case 1:
		return "never"
	case 2:
		return "once"
	case 3:
		return "always"
	case 4:
		return "match-once"
	case 5:
		return "match-always"
	}
	return fmt.Sprintf("unknown (%d)", b)
}

func touchPolicyName(b byte) string {
	switch b {
	case 1:
		return "never"
	case 2:
		return "always"
	case 3:
		return "cached"
	}
	return fmt.Sprintf("unknown (%d)", b)
}

// formFactorName names the body of a YubiKey
// (https://developers.yubico.com/yubikey-manager/Config_Reference.html).
func formFactorName(b byte) string {
	name := ""
	switch b &^ 0x80 {
	case 1:
		name = "USB-A keychain"
	case 2:
		name = "USB-A nano"
	case 3:
		name = "USB-C keychain"
	case 4:
		name = "USB-C nano"
	case 5:
		name = "USB-C/Lightning keychain"
	case 6:
		name = "USB-A Bio"
	case 7:
		name = "USB-C Bio"
	default:
		return fmt.Sprintf("unknown (%#02x)", b)
	}
	if b&0x80 != 0 {
		name += " FIPS"
	}
	return name
}
