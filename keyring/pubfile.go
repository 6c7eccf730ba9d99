package keyring

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// PublicFile is what key export writes: the public part of a key that is elsewhere.
type PublicFile struct {
	Schema      int       `json:"schema"`
	KeyID       tuf.KeyID `json:"keyid"`
	Public      string    `json:"public"` // PEM SubjectPublicKeyInfo
	URI         string    `json:"uri,omitempty"`
	Name        string    `json:"name,omitempty"`        // what people call it
	Attestation string    `json:"attestation,omitempty"` // PEM chain
}

// PublicKey is what is read from such a file.
type PublicKey struct {
	Key meta.Key
	At  signer.URI
	// Name and attestation are what its holder says of it.
	Name, Attestation string
}

// ReadPublic reads the public part of a key that is elsewhere; what is wrong with the file
// is misuse.
func (k *Ring) ReadPublic(u signer.URI) (PublicKey, error) {
	file := u.Opaque
	data, err := config.ReadBounded(file, config.MaxSize)
	if err != nil {
		return PublicKey{}, misuse.Errorf("%q: %w", file, err)
	}
	if err := schema.Check(file, "schema", data, 1); err != nil {
		return PublicKey{}, err
	}
	var f PublicFile
	err = json.Unmarshal(data, &f)
	if bad := (*tuf.KeyIDError)(nil); errors.As(err, &bad) {
		return PublicKey{}, misuse.Errorf("%q: the key ID in it is not that of its key", file)
	}
	if err != nil || f.Schema != 1 {
		return PublicKey{}, misuse.Errorf(`%q is not what "fleet-hsm key export" writes`, file)
	}
	pub, err := parsePublicPEM(f.Public)
	if err != nil {
		return PublicKey{}, misuse.Errorf("%q: %w", file, err)
	}
	key, err := meta.NewKey(pub)
	if err != nil {
		return PublicKey{}, err
	}
	if f.KeyID != key.ID {
		return PublicKey{}, misuse.Errorf("%q: the key ID in it is not that of its key", file)
	}
	at := u
	if f.URI != "" {
		l, err := locator.Parse(f.URI)
		if err == nil && !l.IsZero() {
			at, err = k.opts.Kinds.Parse(l.String())
		}
		if err == nil && !l.IsZero() && !at.ToldBy() {
			err = &signer.URIError{URI: l.String(), Reason: "others cannot say that"}
		}
		if err != nil {
			return PublicKey{}, misuse.Errorf("%q: %w", file, err)
		}
	}
	return PublicKey{Key: key, At: at, Name: f.Name, Attestation: f.Attestation}, nil
}

// PublicPEM writes a public key as PEM.
func PublicPEM(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func parsePublicPEM(s string) (crypto.PublicKey, error) {
	block, _ := pem.Decode([]byte(s))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("holds no PEM public key")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}
