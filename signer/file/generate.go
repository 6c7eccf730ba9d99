package file

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Generate makes keys and saves them: into a new file under a new passphrase, or
// behind the keys of an existing file, under its passphrase.
func (b *Backend) Generate(ctx context.Context, ref signer.Ref, opts signer.GenerateOptions, ui signer.UI) (signer.Generated, error) {
	g, err := b.generate(ctx, ref, opts, ui)
	if err != nil {
		return signer.Generated{}, &signer.KeyError{Op: "making key", URI: ref.URI, Err: err}
	}
	return g, nil
}

func (b *Backend) generate(ctx context.Context, ref signer.Ref, opts signer.GenerateOptions, ui signer.UI) (signer.Generated, error) {
	path := b.path(ref.URI)
	old, secret, err := b.present(ctx, ref, ui, path)
	if err != nil {
		return signer.Generated{}, err
	}
	g := signer.Generated{URI: ref.URI}
	keys := old
	for range max(opts.Count, 1) {
		priv, err := newKey(opts.Algorithm)
		if err != nil {
			return signer.Generated{}, err
		}
		e, err := store(priv)
		if err != nil {
			return signer.Generated{}, err
		}
		keys = append(keys, e)
		g.Public = append(g.Public, priv.Public())
	}
	data, err := encode(b.encryption, keys, secret.Unwrap())
	if err != nil {
		return signer.Generated{}, err
	}
	if err := b.save(path, data, old == nil); err != nil {
		return signer.Generated{}, err
	}
	b.remember(path, keys, secret)
	return g, nil
}

// present gives the keys that are in the file already and its passphrase, or no keys
// and a new passphrase.
func (b *Backend) present(ctx context.Context, ref signer.Ref, ui signer.UI, path string) ([]storedKey, signer.Secret, error) {
	if b.Exists(ref.URI) {
		x := b.box(ref.URI)
		if err := x.unlock(ctx, ref, ui); err != nil {
			return nil, signer.Secret{}, err
		}
		return append([]storedKey{}, x.keys...), x.passphrase, nil
	}
	if err := tryPrivate(path, os.Stat); err != nil {
		return nil, signer.Secret{}, err
	}
	secret, err := ui.Secret(ctx, signer.SecretRequest{
		Kind: signer.NewPassphrase, URI: ref.URI, Device: fmt.Sprintf("key file %q", path), Roles: ref.Roles, TriesLeft: -1,
	})
	if err == nil && secret.Empty() {
		err = &signer.NoSecretError{Kind: signer.NewPassphrase, Device: fmt.Sprintf("key file %q", path)}
	}
	return nil, secret, err
}

func (b *Backend) save(path string, data []byte, create bool) error {
	if err := atomicfile.PrivateDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if create {
		return atomicfile.Create(path, data, 0o600)
	}
	return atomicfile.Write(path, data, 0o600)
}

// remember keeps a file that was just written unlocked: deriving the key again would
// cost as much as the first time.
func (b *Backend) remember(path string, keys []storedKey, secret signer.Secret) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.boxes[path] = &box{path: path, encryption: b.encryption, deriving: b.deriving, tried: true, keys: keys, private: privates(path, keys), passphrase: secret}
}

func newKey(alg signer.Algorithm) (crypto.Signer, error) {
	switch alg {
	case "", signer.Ed25519:
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		return priv, err
	case signer.P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if bits := alg.RSABits(); bits > 0 {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return nil, &signer.UnsupportedError{What: fmt.Sprintf("algorithm %q", alg), Why: "known are p256, ed25519, rsa2048, rsa3072, rsa4096"}
}
