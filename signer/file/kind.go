package file

import "github.com/fleet-hsm/fleet-hsm/signer"

// Kind declares encrypted key files.
func Kind() *signer.Kind { return KindWith(goTUF{}) }

// KindWith declares key files that are encrypted in another way.
func KindWith(e Encryption) *signer.Kind {
	k := signer.KeyFile()
	k.New = func(dir string, _ func(string) string) signer.Backend { return NewWith(dir, e) }
	return &k
}
