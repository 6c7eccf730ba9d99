package peer

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/theupdateframework/go-tuf/data"
	"github.com/theupdateframework/go-tuf/encrypted"
	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"
)

// keyFiles writes keys/ROLE.json for each role, as go-tuf does.
func (g *generator) keyFiles() error {
	if err := os.MkdirAll(filepath.Join(g.dir, "keys"), 0o755); err != nil {
		return err
	}
	for _, role := range forge.RoleNames() {
		if err := g.keyFile(role); err != nil {
			return fmt.Errorf("writing the %s keys: %w", role, err)
		}
	}
	return nil
}

func (g *generator) keyFile(role string) error {
	var private []*data.PrivateKey
	for _, signer := range g.files[role] {
		key, err := signer.MarshalPrivateKey()
		if err != nil {
			return err
		}
		private = append(private, key)
	}
	pass, err := passphrase(role, false, false)
	if err != nil {
		return err
	}
	sealed, err := seal(private, pass, g.spec.ScryptN)
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(map[string]any{"encrypted": true, "data": json.RawMessage(sealed)}, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(g.dir, "keys", role+".json"), append(content, '\n'), 0o600)
}

// seal encrypts with go-tuf's own code, or with another scrypt N as later go-tuf does.
func seal(v any, pass []byte, n int) ([]byte, error) {
	if n == 0 {
		return encrypted.Marshal(v, pass)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	salt, nonce := make([]byte, 32), [24]byte{}
	rand.Read(salt)
	rand.Read(nonce[:])
	derived, err := scrypt.Key(pass, salt, n, 8, 1, 32)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"kdf":        map[string]any{"name": "scrypt", "params": map[string]int{"N": n, "r": 8, "p": 1}, "salt": salt},
		"cipher":     map[string]any{"name": "nacl/secretbox", "nonce": nonce[:]},
		"ciphertext": secretbox.Seal(nil, plain, &nonce, (*[32]byte)(derived)),
	})
}

func stagedFolder(dir string) error {
	return os.MkdirAll(filepath.Join(dir, "staged", "targets"), 0o755)
}
