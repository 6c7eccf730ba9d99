package kms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// maxAnswer bounds an answer in bytes: a public key or a signature has a few hundred.
const maxAnswer = 64 << 10

// decode reads the one answer that a plug-in gives. Errors: *AnswerError, *RefusedError.
func (c *call) decode(out []byte) (*answer, error) {
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, c.wrong("is empty%s", c.ended())
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	var a answer
	if err := dec.Decode(&a); err != nil {
		return nil, c.wrong("is not a JSON object of the protocol: %s", cut(err.Error(), maxText))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, c.wrong("is followed by something else; a plug-in answers once")
	}
	if a.ErrorMessage != "" {
		return nil, refused(c.program, c.method, a.ErrorMessage, c.withheld)
	}
	return &a, nil
}

func (c *call) wrong(format string, args ...any) error {
	return &AnswerError{Program: c.program, Method: c.method, Reason: fmt.Sprintf(format, args...)}
}

// parsePublic reads a public key that agents accept.
func (c *call) parsePublic(text []byte) (crypto.PublicKey, error) {
	if len(text) == 0 {
		return nil, c.wrong("holds no public key")
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, c.wrong(`holds something else than one PEM block "PUBLIC KEY"`)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, c.wrong("holds a public key that cannot be read: %s", cut(err.Error(), maxText))
	}
	_, err = signer.AlgorithmOf(pub)
	return pub, err
}
