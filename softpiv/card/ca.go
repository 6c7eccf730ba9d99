package card

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
)

// CA signs the attestation certificates of software cards, in Yubico's stead.
type CA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewCA makes an authority, or loads the one in dir (ca.pem, ca-key.pem). With dir
// "" it is in memory.
func NewCA(dir string) (*CA, error) {
	if dir == "" {
		return makeCA()
	}
	ca, err := loadCA(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return ca, err
	}
	if ca, err = makeCA(); err != nil {
		return nil, err
	}
	return ca, ca.save(dir)
}

// PEM is the root certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// validity is the one that Yubico's own attestation certificates have.
func validity() (from, to time.Time) {
	return time.Date(2016, 3, 14, 0, 0, 0, 0, time.UTC), time.Date(2052, 4, 17, 0, 0, 0, 0, time.UTC)
}

func makeCA() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from, to := validity()
	tmpl := &x509.Certificate{
		SerialNumber: randomNumber(), Subject: pkix.Name{CommonName: "softpiv test attestation root, not Yubico"},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &CA{key: key, cert: cert}, err
}

func randomNumber() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] &= 0x7F
	return new(big.Int).SetBytes(b)
}

func loadCA(dir string) (*CA, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		return nil, err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("%q: ca.pem or ca-key.pem is not PEM", dir)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading ca.pem in %q: %w", dir, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading ca-key.pem in %q: %w", dir, err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("ca-key.pem in %q holds a %T", dir, key)
	}
	return &CA{key: private, cert: cert}, nil
}

// save writes the key first: a certificate without its key would be useless.
func (ca *CA) save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := atomicfile.Write(filepath.Join(dir, "ca-key.pem"), key, 0o600); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, "ca.pem"), ca.PEM(), 0o644)
}

// issued is an attestation key as the card keeps it.
type issued struct {
	slot   *slot
	object []byte // certificate object
}

// issue makes an attestation key and its certificate. Cards before firmware 5 have
// certificates without basic constraints, and verifiers must live with that.
func (ca *CA) issue(firmware [3]byte) (issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	from, to := validity()
	tmpl := &x509.Certificate{
		SerialNumber: randomNumber(), Subject: pkix.Name{CommonName: "Yubico PIV Attestation"},
		NotBefore: from, NotAfter: to,
	}
	if firmware[0] >= 5 {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.MaxPathLenZero = true, true, true
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return issued{}, err
	}
	s, err := newSlot(algP256, key, pinNever, touchNever, fromOutside)
	return issued{slot: s, object: certificateObject(der)}, err
}

// certificateObject wraps a certificate (SP 800-73-4 part 1, appendix A).
func certificateObject(der []byte) []byte {
	b := append(tlv(0x70, der), tlv(0x71, []byte{0x00})...)
	return append(b, tlv(0xFE, nil)...)
}
