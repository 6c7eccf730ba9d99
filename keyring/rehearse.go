package keyring

import (
	"crypto/ed25519"
	"crypto/rand"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// standIn takes the place of a key that a dry run would make, or would have to unlock to
// know it; nobody keeps it.
func (k *Ring) standIn(name string) (meta.Key, error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return meta.Key{}, err
	}
	key, err := meta.NewKey(pub)
	k.standIns[key.ID] = name
	return key, err
}

// StandIns stand for new keys of a role in its file.
func (m *Maker) StandIns(role string, n int) ([]meta.Key, error) {
	var keys []meta.Key
	for range n {
		key, err := m.k.standIn("a new key in " + m.k.FileOf(role).String())
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// rehearsed gives a stand-in where the key of a URI shows only with a secret.
func (m *Maker) rehearsed(u signer.URI) (meta.Key, bool, error) {
	if !m.k.opts.DryRun || !u.Kind().Sealed {
		return meta.Key{}, false, nil
	}
	what := "a new key in "
	if m.k.Files.Exists(u) {
		what = "the key in "
	}
	key, err := m.k.standIn(what + u.String())
	return key, true, err
}
