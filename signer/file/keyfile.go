package file

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// maxFile bounds a key file in bytes; a file with five RSA-4096 keys has 30,000.
const maxFile = 1 << 20

// ErrNotEncrypted: the keys lie open in the file.
var ErrNotEncrypted = errors.New("keys are not encrypted")

// FormatError says what is wrong with a key file.
type FormatError struct {
	Path   string
	Reason string
	Err    error // may be nil
}

func (e *FormatError) Error() string {
	s := fmt.Sprintf("key file %q: %s", e.Path, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *FormatError) Unwrap() error { return e.Err }

type persisted struct {
	Encrypted bool            `json:"encrypted"`
	Data      json.RawMessage `json:"data"`
}

// storedKey is one entry of the plaintext.
type storedKey struct {
	Type       string          `json:"keytype"`
	Scheme     string          `json:"scheme,omitempty"`
	Algorithms []string        `json:"keyid_hash_algorithms,omitempty"`
	Value      json.RawMessage `json:"keyval"`
}

type keyval struct {
	Public  string `json:"public"`
	Private string `json:"private"`
}

// readFile checks the mode and reads the outer layer. A missing file is
// signer.ErrKeyNotFound.
func readFile(path string) (persisted, error) {
	var p persisted
	if err := checkMode(path); err != nil {
		return p, err
	}
	f, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return p, err
	}
	if len(data) > maxFile {
		return p, &FormatError{Path: path, Reason: fmt.Sprintf("larger than %d bytes", maxFile)}
	}
	return parsePersisted(path, data)
}

func parsePersisted(path string, data []byte) (persisted, error) {
	var p persisted
	if err := json.Unmarshal(data, &p); err != nil {
		return p, &FormatError{Path: path, Reason: "is not a key file", Err: err}
	}
	if len(p.Data) == 0 {
		return p, &FormatError{Path: path, Reason: `is not a key file: no "data"`}
	}
	return p, nil
}

// checkMode refuses a file that others can use. Errors: *signer.FileModeError.
func checkMode(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("key file %q: %w", path, signer.ErrKeyNotFound)
	}
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return &FormatError{Path: path, Reason: "is not a regular file"}
	}
	if err := ownersAlone(path, st); err != nil {
		return err
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	// fleetctl makes the folder 0755, which shows names only; who can write into it
	// can put another file in place.
	return ownersToReplace(filepath.Dir(path), dir)
}

// decrypt gives the keys of an encrypted file. A wrong passphrase is
// signer.ErrPassphrase.
func decrypt(e Encryption, path string, p persisted, passphrase []byte) ([]storedKey, error) {
	if !p.Encrypted {
		return nil, &FormatError{Path: path, Reason: "holds private keys in the open", Err: ErrNotEncrypted}
	}
	if err := checkKDF(e, path, p.Data); err != nil {
		return nil, err
	}
	plain, err := e.Open(p.Data, passphrase)
	if err != nil {
		// The library has one error for a wrong passphrase and for altered bytes; both
		// mean that this passphrase does not open this file.
		return nil, fmt.Errorf("key file %q: %w", path, signer.ErrPassphrase)
	}
	return parseKeys(path, plain)
}

func parseKeys(path string, plain []byte) ([]storedKey, error) {
	var keys []storedKey
	if err := json.Unmarshal(plain, &keys); err != nil {
		// err could repeat a part of the plaintext.
		return nil, &FormatError{Path: path, Reason: "the decrypted content is not a list of keys"}
	}
	return keys, nil
}

// encode encrypts keys under a passphrase, in the bytes that go-tuf v0.5.2 reads.
func encode(e Encryption, keys []storedKey, passphrase []byte) ([]byte, error) {
	plain, err := json.MarshalIndent(keys, "", "\t")
	if err != nil {
		return nil, err
	}
	data, err := e.Seal(plain, passphrase)
	if err != nil {
		return nil, err
	}
	out, err := json.MarshalIndent(persisted{Encrypted: true, Data: data}, "", "\t")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// private gives the key of an entry. Errors never repeat what is in it.
func (k storedKey) private(path string) (crypto.Signer, error) {
	bad := func(why string) (crypto.Signer, error) {
		return nil, &FormatError{Path: path, Reason: fmt.Sprintf("a %q key %s", k.Type, why)}
	}
	var v keyval
	if json.Unmarshal(k.Value, &v) != nil {
		return bad("has no keyval with public and private")
	}
	switch k.Type {
	case "ed25519":
		b, err := hex.DecodeString(v.Private)
		if err != nil || len(b) != ed25519.PrivateKeySize {
			return bad("is not 128 hexadecimal digits")
		}
		key := ed25519.NewKeyFromSeed(b[:32])
		if !bytes.Equal(key, b) {
			return bad("has a public part that does not match its private part")
		}
		return key, nil
	case "ecdsa-sha2-nistp256", "rsa":
	default:
		return bad("is of a kind that deployed agents refuse")
	}
	block, _ := pem.Decode([]byte(v.Private))
	if block == nil {
		return bad("is not PEM")
	}
	key, err := parsePEM(block)
	if err != nil {
		return bad("cannot be parsed")
	}
	if ec, ok := key.(*ecdsa.PrivateKey); ok && k.Type != "rsa" && ec.Curve == elliptic.P256() {
		return key, nil
	}
	if _, ok := key.(*rsa.PrivateKey); ok && k.Type == "rsa" {
		return key, nil
	}
	return bad("holds a key of another kind")
}

func parsePEM(block *pem.Block) (crypto.Signer, error) {
	switch block.Type {
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	return nil, errors.New("unknown PEM block")
}

// store makes the entry of a private key as go-tuf v0.5.2 writes it.
func store(key crypto.Signer) (storedKey, error) {
	algs := []string{"sha256", "sha512"}
	if k, ok := key.(ed25519.PrivateKey); ok {
		pub := k.Public().(ed25519.PublicKey)
		return entry("ed25519", "ed25519", algs, keyval{hex.EncodeToString(pub), hex.EncodeToString(k)})
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return storedKey{}, err
	}
	pub := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return storedKey{}, err
		}
		priv := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
		return entry("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", algs, keyval{pub, priv})
	case *rsa.PrivateKey:
		priv := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
		return entry("rsa", "rsassa-pss-sha256", algs, keyval{pub, priv})
	}
	return storedKey{}, fmt.Errorf("a private key of type %T", key)
}

func entry(typ, scheme string, algs []string, v keyval) (storedKey, error) {
	raw, err := json.Marshal(v)
	return storedKey{Type: typ, Scheme: scheme, Algorithms: algs, Value: raw}, err
}
