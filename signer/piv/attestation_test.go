package piv

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// The chains in testdata are of real YubiKeys, from the tests of piv-go v2.6.0.

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGenuineAttestations(t *testing.T) {
	b := New(Options{})
	for _, tt := range []struct {
		file string
		want signer.Attestation
	}{
		{"yubikey-5.4.3.pem", signer.Attestation{
			Serial: "15732500", Slot: "9a", Firmware: "5.4.3", PINPolicy: "once", TouchPolicy: "never",
			FormFactor: "USB-C nano", Root: "CN=Yubico PIV Root CA Serial 263751",
		}},
		// No serial number, no basic constraints, under the U2F root whose path length is zero.
		{"yubikey-4.3.7.pem", signer.Attestation{
			Slot: "9a", Firmware: "4.3.7", PINPolicy: "once", TouchPolicy: "never", Root: "CN=Yubico U2F Root CA Serial 457200631",
		}},
	} {
		a, err := b.VerifyAttestation(read(t, tt.file), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if _, ok := a.Public.(*ecdsa.PublicKey); !ok || a.NotBefore.IsZero() {
			t.Errorf("%s: public key %T, not before %v", tt.file, a.Public, a.NotBefore)
		}
		if again, err := b.VerifyAttestation(a.Chain, nil); err != nil || again.Serial != a.Serial {
			t.Errorf("%s: the chain that came out does not verify: %v", tt.file, err)
		}
		a.Public, a.NotBefore, a.Chain = nil, time.Time{}, nil
		if a.Serial != tt.want.Serial || a.Slot != tt.want.Slot || a.Firmware != tt.want.Firmware || a.PINPolicy != tt.want.PINPolicy ||
			a.TouchPolicy != tt.want.TouchPolicy || a.FormFactor != tt.want.FormFactor || a.Root != tt.want.Root {
			t.Errorf("%s: %+v, want %+v", tt.file, a, tt.want)
		}
	}
}

func TestForgedAttestations(t *testing.T) {
	five, four := read(t, "yubikey-5.4.3.pem"), read(t, "yubikey-4.3.7.pem")
	split := func(chain []byte) (leaf, device []byte) {
		block, rest := pem.Decode(chain)
		return pem.EncodeToMemory(block), rest
	}
	leaf5, device5 := split(five)
	leaf4, device4 := split(four)
	block, _ := pem.Decode(leaf5)
	key := bytes.Index(block.Bytes, []byte{0x03, 0x42, 0x00, 0x04})
	if key < 0 {
		t.Fatal("no public key in the leaf")
	}
	bent := bytes.Clone(block.Bytes)
	bent[key+10] ^= 1
	self, selfRoot := forge(t, leafPrefix+"9c")
	for name, chain := range map[string][]byte{
		"empty":                       nil,
		"no PEM":                      []byte("nothing"),
		"leaf alone":                  leaf5,
		"device certificate alone":    device5,
		"of another device":           append(bytes.Clone(leaf5), device4...),
		"of another device, reversed": append(bytes.Clone(leaf4), device5...),
		"another public key":          append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bent}), device5...),
		"self-signed":                 append(bytes.Clone(self), selfRoot...),
		"self-signed root in the way": append(append(bytes.Clone(self), selfRoot...), device5...),
		"private key in it":           append(bytes.Clone(five), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})...),
	} {
		if a, err := New(Options{}).VerifyAttestation(chain, nil); !errors.Is(err, signer.ErrAttestation) {
			t.Errorf("%s: %+v, %v; want ErrAttestation", name, a, err)
		}
	}
}

// TestAttestedKeyCannotAttest: whoever has a YubiKey has its slot keys sign whatever
// they like. A certificate signed by such a key proves nothing.
func TestAttestedKeyCannotAttest(t *testing.T) {
	root, rootKey := authority(t)
	device, deviceKey := issue(t, deviceName, true, root, rootKey)
	slot, slotKey := issue(t, leafPrefix+"9a", false, device, deviceKey)
	fake, _ := issue(t, leafPrefix+"9c", false, slot, slotKey)
	named, namedKey := issue(t, deviceName, false, device, deviceKey) // even under the device's name
	fake2, _ := issue(t, leafPrefix+"9c", false, named, namedKey)
	roots := toPEM(root)
	b := New(Options{})
	if _, err := b.VerifyAttestation(toPEM(slot, device), roots); err != nil {
		t.Fatalf("the honest chain: %v", err)
	}
	for name, chain := range map[string][]byte{"by a slot key": toPEM(fake, slot, device), "by a namesake": toPEM(fake2, named, device)} {
		if _, err := b.VerifyAttestation(chain, roots); !errors.Is(err, signer.ErrAttestation) {
			t.Errorf("%s: %v, want ErrAttestation", name, err)
		}
	}
}

func TestRootsThatAreNone(t *testing.T) {
	if _, err := New(Options{}).VerifyAttestation(read(t, "yubikey-5.4.3.pem"), []byte("a file that is no PEM")); !errors.Is(err, signer.ErrAttestation) {
		t.Errorf("error is %v, want ErrAttestation", err)
	}
}

// forge makes a leaf and a root of its own.
func forge(t *testing.T, name string) (leaf, root []byte) {
	t.Helper()
	ca, key := authority(t)
	c, _ := issue(t, name, false, ca, key)
	return toPEM(c), toPEM(ca)
}

func authority(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	return issue(t, "a root", true, nil, nil)
}

func issue(t *testing.T, name string, ca bool, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: ca, IsCA: ca, MaxPathLenZero: name == deviceName, // as on real ones
	}
	if parent == nil {
		parent, by = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func toPEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}
