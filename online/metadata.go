package online

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

const (
	roleRoot      = tuf.Root
	roleTargets   = tuf.Targets
	roleSnapshot  = tuf.Snapshot
	roleTimestamp = tuf.Timestamp
)

// file is a parsed metadata file. Of the targets in it nothing is kept.
type file struct {
	tuf.Header
	Meta       map[string]tuf.FileMeta
	data       []byte
	signed     []byte // as it stands in data
	message    []byte // canonical form of the signed part
	signatures []tuf.Signature
}

// parse reads a file of the given role. Nothing is verified yet.
func parse(data []byte, role string) (*file, error) {
	env, err := tuf.OpenEnvelope(data)
	if err != nil {
		return nil, err
	}
	var head struct {
		tuf.Header
		Meta map[string]tuf.FileMeta `json:"meta"`
	}
	if err := json.Unmarshal(env.Signed, &head); err != nil {
		return nil, fmt.Errorf("not metadata: %w", err)
	}
	if err := head.Check(role); err != nil {
		return nil, err
	}
	return &file{Header: head.Header, Meta: head.Meta, data: data, signed: env.Signed, message: env.Message, signatures: env.Signatures}, nil
}

// roleKeys are the keys of a role: by key ID, and how many must sign.
type roleKeys struct {
	keys      map[tuf.KeyID]crypto.PublicKey
	threshold int
	// print tells one set of keys from another.
	print string
}

// root is a root.json with its keys parsed.
type root struct {
	*file
	Consistent bool
	roles      map[string]roleKeys
}

// parseRoot reads a root.
func parseRoot(data []byte) (*root, error) {
	f, err := parse(data, roleRoot)
	if err != nil {
		return nil, err
	}
	doc, err := tuf.ParseRoot(f.signed)
	if err != nil {
		return nil, err
	}
	r := &root{file: f, Consistent: doc.Consistent, roles: map[string]roleKeys{}}
	for name, role := range doc.Roles {
		r.roles[name] = keysOf(role, doc.Keys)
	}
	return r, nil
}

func keysOf(role tuf.Role, all map[tuf.KeyID]crypto.PublicKey) roleKeys {
	rk := roleKeys{keys: map[tuf.KeyID]crypto.PublicKey{}, threshold: role.Threshold}
	print := sha256.New()
	fmt.Fprintln(print, role.Threshold)
	for _, id := range role.KeyIDs {
		rk.keys[id] = all[id]
		fmt.Fprintln(print, id, wiresig.Fingerprint(all[id]))
	}
	rk.print = hex.EncodeToString(print.Sum(nil))
	return rk
}

// verify counts the signatures of f by keys of the role; one public key counts once,
// under whatever IDs.
func (rk roleKeys) verify(f *file) error {
	good := map[string]bool{}
	for _, s := range f.signatures {
		pub, ok := rk.keys[s.KeyID]
		if !ok {
			continue
		}
		sig, err := hex.DecodeString(s.Sig)
		if err == nil && wiresig.Verify(pub, f.message, sig) == nil {
			good[wiresig.Fingerprint(pub)] = true
		}
	}
	if len(good) < rk.threshold {
		return fmt.Errorf("it needs %d signatures and has %d: %w", rk.threshold, len(good), wiresig.ErrBadSignature)
	}
	return nil
}

// publics lists the role's public keys.
func (rk roleKeys) publics() []crypto.PublicKey {
	all := make([]crypto.PublicKey, 0, len(rk.keys))
	for _, pub := range rk.keys {
		all = append(all, pub)
	}
	return all
}
