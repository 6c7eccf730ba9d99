package keyring

import (
	"crypto/ed25519"
	"crypto/rand"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// standIn takes the place of a key that a dry run would make, or would have to unlock to
// know it; nobody keeps it.
func (k *Ring) standIn(name string) (repo.Key, error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return repo.Key{}, err
	}
	key, err := repo.NewKey(pub)
	k.standIns[key.ID] = name
	return key, err
}

// StandIns stand for new keys of a role in its file.
func (m *Maker) StandIns(role string, n int) ([]repo.Key, error) {
	var keys []repo.Key
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
func (m *Maker) rehearsed(u signer.URI) (repo.Key, bool, error) {
	if !m.k.opts.DryRun || !u.Kind().Sealed {
		return repo.Key{}, false, nil
	}
	what := "a new key in "
	if m.k.Files.Exists(u) {
		what = "the key in "
	}
	key, err := m.k.standIn(what + u.String())
	return key, true, err
}
