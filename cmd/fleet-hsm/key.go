package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show, make and look after keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keyListCommand(), a.keyShowCommand(), a.keyPasswdCommand(), a.keyExportCommand(),
		a.keyGenerateCommand(), a.keyAttestCommand())
	return cmd
}

// keyArg reads what a person names a key by: a URI, or a role whose key file is
// meant.
func (a *app) keyArg(s string) (signer.URI, []string, error) {
	if repo.IsRole(s) {
		return roleFile(s), []string{s}, nil
	}
	u, err := a.kinds.Parse(s)
	if err != nil {
		return signer.URI{}, nil, err
	}
	return u, rolesOfFile(u), nil
}

// rolesOfFile guesses the role of keys/<role>.json, so that its variable is found.
func rolesOfFile(u signer.URI) []string {
	if !u.Kind().Sealed {
		return nil
	}
	name := strings.TrimSuffix(filepath.Base(u.Opaque), ".json")
	if i := strings.IndexByte(name, '.'); i > 0 {
		name = name[:i] // retired/root.1.json
	}
	if repo.IsRole(name) {
		return []string{name}
	}
	return nil
}

func publicPEM(pub crypto.PublicKey) (string, error) {
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

// keepAttestation stores the certificates that prove where a key was born, if there
// are any.
func (a *app) keepAttestation(g signer.Generated) error {
	if len(g.Attestation) == 0 {
		return nil
	}
	if err := os.MkdirAll(a.within("attestations"), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(a.attestationFile(keyIDOf(g.Public[0])), g.Attestation, 0o644)
}

func (a *app) attestationFile(keyID tuf.KeyID) string {
	return a.within("attestations", keyID.String()+".pem")
}

// plain opens the configuration and the keychain for key and token commands, which
// need no repository.
func (a *app) plain() (*keychain, error) {
	if err := a.checkPath(); err != nil {
		return nil, err
	}
	if _, err := a.config(); err != nil {
		return nil, err
	}
	return a.keychain()
}

// describe gives what is known of a key without a secret where possible.
func (k *keychain) describe(ctx context.Context, u signer.URI, roles []string) ([]signer.KeyInfo, error) {
	be, err := k.backends.For(u)
	if err != nil {
		return nil, err
	}
	ref := signer.Ref{URI: u, Roles: roles}
	if l, ok := be.(signer.KeyLister); ok {
		return l.Keys(ctx, ref, k.a.person())
	}
	return nil, &signer.UnsupportedError{What: fmt.Sprintf("listing the keys of %q", u), Why: "this kind of key has no list"}
}
