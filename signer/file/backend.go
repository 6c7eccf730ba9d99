package file

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Backend opens the keys of encrypted files.
type Backend struct {
	dir        string
	encryption Encryption

	// deriving bounds how many keys are derived at a time: each scrypt run takes 32 MiB
	// and a core.
	deriving chan struct{}

	mu    sync.Mutex
	boxes map[string]*box // by cleaned path
}

// maxDeriving is how many files are unlocked at a time.
const maxDeriving = 2

// NewWith makes a backend that encrypts files so; paths that are not absolute are below dir.
func NewWith(dir string, e Encryption) *Backend {
	return &Backend{dir: dir, encryption: e, boxes: map[string]*box{}, deriving: make(chan struct{}, maxDeriving)}
}

// box is a key file that is unlocked at most once.
type box struct {
	path       string
	encryption Encryption
	deriving   chan struct{}

	mu         sync.Mutex
	tried      bool
	err        error
	keys       []storedKey
	private    []crypto.Signer
	passphrase signer.Secret
	closed     bool
}

func (b *Backend) path(u signer.URI) string {
	if filepath.IsAbs(u.Opaque) {
		return filepath.Clean(u.Opaque)
	}
	return filepath.Join(b.dir, u.Opaque)
}

func (b *Backend) box(u signer.URI) *box {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := b.path(u)
	if b.boxes[path] == nil {
		b.boxes[path] = &box{path: path, encryption: b.encryption, deriving: b.deriving}
	}
	return b.boxes[path]
}

// forget makes the next use of a file read it again.
func (b *Backend) forget(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.boxes, path)
}

// Close forgets every passphrase and key; signers of the backend sign no more.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.boxes {
		x.close()
	}
	b.boxes = map[string]*box{}
	return nil
}

// Open names a key in a file. The file must be there and private; its passphrase is
// asked for at the first signature or by Unlock, unless the key is not pinned: then
// only the passphrase tells which key it is, and it is still asked for late.
func (b *Backend) Open(_ context.Context, ref signer.Ref, ui signer.UI) (signer.Signer, error) {
	x := b.box(ref.URI)
	p, err := readFile(x.path)
	if err != nil {
		return nil, &signer.KeyError{Op: "opening key", URI: ref.URI, Err: err}
	}
	if !p.Encrypted {
		_, err := decrypt(b.encryption, x.path, p, nil)
		return nil, &signer.KeyError{Op: "opening key", URI: ref.URI, Err: err}
	}
	return &fileSigner{box: x, ref: ref, ui: ui}, nil
}

// unlock asks for the passphrase, once per box and only once whatever comes of it,
// and decrypts. A question that was canceled may be asked again.
func (x *box) unlock(ctx context.Context, ref signer.Ref, ui signer.UI) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tried {
		return x.err
	}
	p, err := readFile(x.path)
	if err != nil {
		return err
	}
	secret, err := ui.Secret(ctx, signer.SecretRequest{
		Kind: signer.Passphrase, URI: ref.URI, Device: fmt.Sprintf("key file %q", x.path), Roles: ref.Roles, TriesLeft: -1,
	})
	if err != nil {
		return err
	}
	if secret.Empty() {
		return &signer.NoSecretError{Kind: signer.Passphrase, Device: fmt.Sprintf("key file %q", x.path)}
	}
	x.tried = true
	x.keys, x.passphrase, x.err = x.try(p, secret)
	if x.err != nil {
		secret.Forget()
		return x.err
	}
	x.private = privates(x.path, x.keys)
	return nil
}

// try decrypts with each spelling of the passphrase and gives the one that is right.
// Each costs a derivation, so the second is tried only where the first is wrong.
func (x *box) try(p persisted, secret signer.Secret) (keys []storedKey, right signer.Secret, err error) {
	for _, spelling := range secret.Spellings() {
		right = signer.NewSecret(spelling)
		if keys, err = x.decrypt(p, right); !errors.Is(err, signer.ErrPassphrase) {
			break
		}
	}
	return keys, right, err
}

func (x *box) decrypt(p persisted, secret signer.Secret) ([]storedKey, error) {
	x.deriving <- struct{}{}
	defer func() { <-x.deriving }()
	keys, err := decrypt(x.encryption, x.path, p, secret.Unwrap())
	// The 32 MiB are garbage now; without a collection the next run would take more.
	runtime.GC()
	return keys, err
}

// choose picks the pinned key, or the only one.
func (x *box) choose(ref signer.Ref) (crypto.Signer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var usable []crypto.Signer
	var shown []string
	for _, k := range x.private {
		if k == nil {
			continue
		}
		if ref.Pinned != nil && signer.SamePublic(ref.Pinned, k.Public()) {
			return k, nil
		}
		usable = append(usable, k)
		shown = append(shown, "fingerprint "+fingerprint(k.Public())[:16])
	}
	switch {
	case len(usable) == 0:
		return nil, &signer.NotFoundError{What: "key", URI: ref.URI, Cause: signer.ErrKeyNotFound}
	case ref.Pinned != nil && len(usable) == 1:
		return nil, &signer.KeyChangedError{URI: ref.URI, Want: fingerprint(ref.Pinned), Have: fingerprint(usable[0].Public())}
	case ref.Pinned != nil:
		return nil, &signer.KeyChangedError{URI: ref.URI, Want: fingerprint(ref.Pinned), Have: fmt.Sprintf("one of %d others", len(usable))}
	case len(usable) > 1:
		return nil, &signer.AmbiguousError{What: "key", URI: ref.URI, Candidates: shown}
	}
	return usable[0], nil
}

// Exists reports whether the file of u is there.
func (b *Backend) Exists(u signer.URI) bool {
	_, err := os.Lstat(b.path(u))
	return err == nil
}

func (x *box) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.passphrase.Forget()
	x.keys, x.private, x.closed = nil, nil, true
}

func (x *box) isClosed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closed
}

// Unlock asks for the passphrase of a file ahead of its use, whichever of its keys
// will be wanted.
func (b *Backend) Unlock(ctx context.Context, ref signer.Ref, ui signer.UI) error {
	if err := b.box(ref.URI).unlock(ctx, ref, ui); err != nil {
		return &signer.KeyError{Op: "opening key", URI: ref.URI, Err: err}
	}
	return nil
}
