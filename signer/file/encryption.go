package file

import (
	"encoding/json"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Encryption seals what a key file holds under a passphrase, and opens it again. There
// is one for real files, which Kind takes. Tests, which unlock thousands, bring one that
// costs nothing (signertest.CheapEncryption); it is no part of the tool.
type Encryption interface {
	Seal(plain, passphrase []byte) ([]byte, error)
	// Open gives an error for a wrong passphrase and for altered bytes.
	Open(sealed, passphrase []byte) ([]byte, error)
	// Runs tells whether a key derivation is one that Open runs: somebody who swapped
	// the file chose its cost.
	Runs(kdf string, n, r, p int) bool
}

// goTUF is the encryption of go-tuf, which fleetctl reads and writes.
type goTUF struct{}

func (goTUF) Seal(plain, passphrase []byte) ([]byte, error) {
	// The one cost that go-tuf v0.5.2 opens: N=32768.
	return encrypted.EncryptWithCustomKDFParameters(plain, passphrase, encrypted.Legacy)
}

func (goTUF) Open(sealed, passphrase []byte) ([]byte, error) {
	return encrypted.Decrypt(sealed, passphrase)
}

// Runs: those that some go-tuf writes. Each needs 128*N*r bytes: 32, 64, 128 MiB.
func (goTUF) Runs(kdf string, n, r, p int) bool {
	return kdf == "scrypt" && (n == 1<<15 || n == 1<<16 || n == 1<<17) && r == 8 && p == 1
}

// checkKDF refuses a key derivation that e does not run.
func checkKDF(e Encryption, path string, data []byte) error {
	var d struct {
		KDF struct {
			Name   string `json:"name"`
			Params struct{ N, R, P int }
		} `json:"kdf"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return &FormatError{Path: path, Reason: "is not a key file", Err: err}
	}
	if p := d.KDF.Params; !e.Runs(d.KDF.Name, p.N, p.R, p.P) {
		return &FormatError{Path: path, Reason: fmt.Sprintf("key derivation %q with N=%d, r=%d, p=%d is not one that go-tuf writes", d.KDF.Name, p.N, p.R, p.P)}
	}
	return nil
}
