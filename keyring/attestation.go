package keyring

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// KeepAttestation stores the certificates that prove where a key was born, if there
// are any.
func (k *Ring) KeepAttestation(g signer.Generated) error {
	if len(g.Attestation) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(k.opts.Folder, "attestations"), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(k.AttestationFile(KeyID(g.Public[0])), g.Attestation, 0o644)
}

// AttestationFile is where they are.
func (k *Ring) AttestationFile(keyID tuf.KeyID) string {
	return filepath.Join(k.opts.Folder, "attestations", keyID.String()+".pem")
}

// AttestationRoots reads the roots of --attestation-ca, or of the configuration.
func (k *Ring) AttestationRoots(flag string) ([]byte, error) {
	if flag != "" {
		return readOptional(flag, "--attestation-ca")
	}
	cfg := k.opts.Config
	return readOptional(cfg.Beside(cfg.AttestationCA), "attestation-ca of the configuration:")
}

// Attester is the kind of key that proves where a key was born.
func (k *Ring) Attester() (signer.Attester, error) {
	att, ok := k.Backends.Attester()
	if !ok {
		return nil, &signer.UnsupportedError{What: "attestation", Why: "this build has no kind of key that proves where it was born"}
	}
	return att, nil
}

// checker checks certificates: by the maker's roots, and those of the configuration.
type checker struct {
	att   signer.Attester // nil without one
	extra []byte
	err   error // why the configuration's roots cannot be read
}

// attesting is made once for the command.
func (k *Ring) attesting() *checker {
	if k.checker == nil {
		c := &checker{}
		c.att, _ = k.Backends.Attester()
		c.extra, c.err = k.AttestationRoots("")
		k.checker = c
	}
	return k.checker
}

func readOptional(file, flag string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	data, err := config.ReadBounded(file, config.MaxSize)
	if err != nil {
		return nil, misuse.Errorf("%s %q: %w", flag, file, err)
	}
	return data, nil
}

// ProofOf says in a word what is stored to prove where a key was born: "attested" if
// it holds, "attested-by-others" if it is of this key and leads to no root that is
// known here, "attestation-invalid" otherwise, "" if nothing is stored.
func (k *Ring) ProofOf(key meta.Key) string {
	// Roots of the configuration that cannot be read are told by "key attest".
	c := k.attesting()
	if c.att == nil {
		return ""
	}
	file := k.AttestationFile(key.ID)
	e := k.CheckStored(c.att, file, key, c.extra)
	switch {
	case e.Attested:
		return "attested"
	case e.Problem == "":
		return ""
	}
	chain, err := os.ReadFile(file)
	if err != nil {
		return "attestation-invalid"
	}
	block, _ := pem.Decode(chain)
	if block == nil {
		return "attestation-invalid"
	}
	var unknown x509.UnknownAuthorityError
	leaf, err := x509.ParseCertificate(block.Bytes)
	if _, verr := c.att.VerifyAttestation(chain, c.extra); err == nil && errors.As(verr, &unknown) && signer.SamePublic(leaf.PublicKey, key.Public) {
		return "attested-by-others"
	}
	return "attestation-invalid"
}

// StoredProof is what a stored certificate says of a key. One that is not there is neither
// attested nor a problem.
type StoredProof struct {
	signer.Attestation
	Attested bool
	Problem  string
}

// CheckStored checks the certificate of a key in a file.
func (k *Ring) CheckStored(att signer.Attester, file string, key meta.Key, extra []byte) StoredProof {
	chain, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return StoredProof{}
	}
	if err != nil {
		return StoredProof{Problem: err.Error()}
	}
	proof, err := att.VerifyAttestation(chain, extra)
	if err != nil {
		return StoredProof{Problem: err.Error()}
	}
	e := StoredProof{Attestation: proof}
	switch at := k.opts.Config.Locations[key.ID]; {
	case !signer.SamePublic(proof.Public, key.Public):
		e.Problem = "the attested key is not the one that root names"
	case differs(at, "serial", proof.Serial), differs(at, "slot", proof.Slot):
		e.Problem = fmt.Sprintf("it is of card %s, slot %s, and the configuration says %q", proof.Serial, proof.Slot, at.String())
	}
	e.Attested = e.Problem == ""
	return e
}

// differs compares an attribute with what is attested; what either leaves out fits.
func differs(location signer.URI, name, attested string) bool {
	have, ok := location.Attr(name)
	return ok && attested != "" && !strings.EqualFold(strings.TrimLeft(have, "0"), strings.TrimLeft(attested, "0"))
}

// Proved checks the certificates of a key: those that came with a request, or the ones kept
// here. Where the roots of the configuration cannot be read nothing is proved.
func (k *Ring) Proved(key meta.Key, chain string) (signer.Attestation, bool) {
	c := k.attesting()
	if c.att == nil || c.err != nil || chain == "" && k.opts.Foreign {
		return signer.Attestation{}, false
	}
	if chain == "" {
		stored, err := config.ReadBounded(k.AttestationFile(key.ID), config.MaxSize)
		if err != nil {
			return signer.Attestation{}, false
		}
		chain = string(stored)
	}
	proof, err := c.att.VerifyAttestation([]byte(chain), c.extra)
	return proof, err == nil && signer.SamePublic(proof.Public, key.Public)
}

// AttestationDigest is the SHA-256 of the certificates that are kept for a key, or
// that came with the request; "" for none.
func (k *Ring) AttestationDigest(keyID tuf.KeyID) string {
	chain, err := os.ReadFile(k.AttestationFile(keyID))
	if errors.Is(err, fs.ErrNotExist) {
		chain = []byte(k.Hints[keyID].Attestation)
	}
	if len(chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(chain)
	return hex.EncodeToString(sum[:])
}
