package file

import (
	"context"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Probe says, without a passphrase, what would keep the keys of a file from signing.
func (b *Backend) Probe(_ context.Context, ref signer.Ref) []signer.Finding {
	path := b.path(ref.URI)
	problem := func(code string, err error) []signer.Finding {
		return []signer.Finding{{Code: code, Text: err.Error(), Err: err}}
	}
	if err := checkMode(path); err != nil {
		return problem("key-file", err)
	}
	p, err := readFile(path)
	if err != nil {
		return problem("key-file", err)
	}
	if !p.Encrypted {
		_, err := decrypt(b.encryption, path, p, nil)
		return problem("key-file-open", err)
	}
	if err := checkKDF(b.encryption, path, p.Data); err != nil {
		return problem("key-file", err)
	}
	return []signer.Finding{{Code: "key-file", OK: true, Text: fmt.Sprintf("key file %q is encrypted and private", path)}}
}
