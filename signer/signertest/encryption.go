package signertest

import (
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"
)

// CheapEncryption is file.Encryption for tests: go-tuf's format with a scrypt that costs
// nothing. The real one takes 32 MiB and most of a test's time, and twenty times as much
// under the race detector. Files of fleetctl's own cost are opened too.
type CheapEncryption struct{}

// cheapN is scrypt's N; fleetctl's is 32768.
const cheapN = 2

type sealed struct {
	KDF struct {
		Name   string `json:"name"`
		Params struct {
			N int `json:"N"`
			R int `json:"r"`
			P int `json:"p"`
		} `json:"params"`
		Salt []byte `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

// Seal encrypts.
func (CheapEncryption) Seal(plain, passphrase []byte) ([]byte, error) {
	var s sealed
	s.KDF.Name, s.KDF.Salt = "scrypt", make([]byte, 32)
	s.KDF.Params.N, s.KDF.Params.R, s.KDF.Params.P = cheapN, 8, 1
	s.Cipher.Name, s.Cipher.Nonce = "nacl/secretbox", make([]byte, 24)
	_, _ = rand.Read(s.KDF.Salt)
	_, _ = rand.Read(s.Cipher.Nonce)
	key, err := s.key(passphrase)
	if err != nil {
		return nil, err
	}
	s.Ciphertext = secretbox.Seal(nil, plain, (*[24]byte)(s.Cipher.Nonce), key)
	return json.Marshal(s)
}

// Open decrypts.
func (CheapEncryption) Open(data, passphrase []byte) ([]byte, error) {
	var s sealed
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	if s.KDF.Params.N != cheapN || len(s.Cipher.Nonce) != 24 {
		return encrypted.Decrypt(data, passphrase)
	}
	key, err := s.key(passphrase)
	if err != nil {
		return nil, err
	}
	plain, ok := secretbox.Open(nil, s.Ciphertext, (*[24]byte)(s.Cipher.Nonce), key)
	if !ok {
		return nil, errors.New("decryption failed")
	}
	return plain, nil
}

// Runs takes the cheap cost and fleetctl's.
func (CheapEncryption) Runs(kdf string, n, r, p int) bool {
	return kdf == "scrypt" && (n == cheapN || n == 1<<15 || n == 1<<16 || n == 1<<17) && r == 8 && p == 1
}

func (s *sealed) key(passphrase []byte) (*[32]byte, error) {
	key, err := scrypt.Key(passphrase, s.KDF.Salt, s.KDF.Params.N, s.KDF.Params.R, s.KDF.Params.P, 32)
	if err != nil {
		return nil, err
	}
	return (*[32]byte)(key), nil
}
