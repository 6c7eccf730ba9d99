package file

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Keys lists the keys of a file; it asks for its passphrase.
func (b *Backend) Keys(ctx context.Context, ref signer.Ref, ui signer.UI) ([]signer.KeyInfo, error) {
	x := b.box(ref.URI)
	if err := x.unlock(ctx, ref, ui); err != nil {
		return nil, &signer.KeyError{Op: "opening key", URI: ref.URI, Err: err}
	}
	var out []signer.KeyInfo
	for i, priv := range x.private {
		info := signer.KeyInfo{URI: ref.URI}
		if priv == nil {
			info.Problem = fmt.Sprintf("a %q key, which deployed agents refuse", x.keys[i].Type)
			out = append(out, info)
			continue
		}
		info.Public = priv.Public()
		alg, err := signer.AlgorithmOf(info.Public)
		if err != nil {
			info.Problem = err.Error()
		}
		info.Algorithm = alg
		out = append(out, info)
	}
	return out, nil
}

// Passwd encrypts a file anew under a new passphrase.
func (b *Backend) Passwd(ctx context.Context, ref signer.Ref, ui signer.UI) error {
	fail := func(err error) error {
		return &signer.KeyError{Op: "changing the passphrase of", URI: ref.URI, Err: err}
	}
	x := b.box(ref.URI)
	keys, err := b.forPasswd(ctx, x, ref, ui)
	if err != nil {
		return fail(err)
	}
	secret, err := ui.Secret(ctx, signer.SecretRequest{
		Kind: signer.NewPassphrase, URI: ref.URI, Device: fmt.Sprintf("key file %q", x.path), Roles: ref.Roles, TriesLeft: -1,
	})
	if err != nil {
		return fail(err)
	}
	if secret.Empty() {
		return fail(&signer.NoSecretError{Kind: signer.NewPassphrase, Device: fmt.Sprintf("key file %q", x.path)})
	}
	data, err := encode(b.encryption, keys, secret.Unwrap())
	if err != nil {
		return fail(err)
	}
	if err := atomicfile.Write(x.path, data, 0o600); err != nil {
		return fail(err)
	}
	b.forget(x.path)
	return nil
}

// forPasswd also reads a file whose keys lie open: giving it a passphrase is the way
// out of that.
func (b *Backend) forPasswd(ctx context.Context, x *box, ref signer.Ref, ui signer.UI) ([]storedKey, error) {
	p, err := readFile(x.path)
	if err != nil {
		return nil, err
	}
	if !p.Encrypted {
		return parseKeys(x.path, p.Data)
	}
	err = x.unlock(ctx, ref, ui)
	return x.keys, err
}

// Retire moves the keys that are not in keep out of a file into a file of the same
// name and passphrase below retired/, and returns how many. The file must have been
// unlocked by this backend already; otherwise nothing is done. If no key is left the
// file is moved whole. The retired file is written first: a crash in between leaves a
// key in both.
func (b *Backend) Retire(u signer.URI, keep []crypto.PublicKey) (int, error) {
	x := b.box(u)
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.tried || x.err != nil {
		return 0, nil
	}
	kept, gone := x.split(keep)
	if len(gone) == 0 {
		return 0, nil
	}
	if err := b.writeRetired(x, gone); err != nil {
		return 0, fmt.Errorf("retiring keys of %q: %w", x.path, err)
	}
	if err := b.shrink(x, kept); err != nil {
		return 0, fmt.Errorf("retiring keys of %q: %w", x.path, err)
	}
	return len(gone), nil
}

func (x *box) split(keep []crypto.PublicKey) (kept, gone []storedKey) {
	for i, k := range x.keys {
		stays := false
		for _, pub := range keep {
			stays = stays || x.private[i] != nil && signer.SamePublic(x.private[i].Public(), pub)
		}
		if stays {
			kept = append(kept, k)
		} else {
			gone = append(gone, k)
		}
	}
	return kept, gone
}

// writeRetired makes a new file below retired/, NAME.1.json, NAME.2.json and so on.
func (b *Backend) writeRetired(x *box, gone []storedKey) error {
	dir := filepath.Join(filepath.Dir(x.path), "retired")
	if err := atomicfile.PrivateDirs(dir); err != nil {
		return err
	}
	data, err := encode(b.encryption, gone, x.passphrase.Unwrap())
	if err != nil {
		return err
	}
	base := filepath.Base(x.path)
	ext := filepath.Ext(base)
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.%d%s", base[:len(base)-len(ext)], n, ext)
		err := atomicfile.Create(filepath.Join(dir, name), data, 0o600)
		if !os.IsExist(err) {
			return err
		}
	}
}

func (b *Backend) shrink(x *box, kept []storedKey) error {
	if len(kept) == 0 {
		return os.Remove(x.path)
	}
	data, err := encode(b.encryption, kept, x.passphrase.Unwrap())
	if err != nil {
		return err
	}
	if err := atomicfile.Write(x.path, data, 0o600); err != nil {
		return err
	}
	x.keys, x.private = kept, privates(x.path, kept)
	return nil
}

// privates gives the private keys; nil for one that no agent accepts, which does not
// spoil the others in the file.
func privates(path string, keys []storedKey) []crypto.Signer {
	out := make([]crypto.Signer, 0, len(keys))
	for _, k := range keys {
		priv, err := k.private(path)
		if err != nil {
			priv = nil
		}
		out = append(out, priv)
	}
	return out
}

// Drop takes keys that were never used out of a file again, for a command that made
// them and was then told not to go on. The file must be unlocked.
func (b *Backend) Drop(u signer.URI, pubs []crypto.PublicKey) error {
	x := b.box(u)
	x.mu.Lock()
	defer x.mu.Unlock()
	_, kept := x.split(pubs)
	if !x.tried || x.err != nil || len(kept) == len(x.keys) {
		return nil
	}
	return b.shrink(x, kept)
}
