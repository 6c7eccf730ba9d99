package ceremony

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Evidence says what the published metadata tells of a signature that somebody
// claims to have made.
type Evidence string

// The kinds of evidence.
const (
	EvidenceGood  Evidence = "verified"      // it verifies over what was published
	EvidenceBad   Evidence = "bad"           // it does not verify, or is of no key of any root
	EvidenceOther Evidence = "not-published" // other bytes were published under this version, or none yet
	EvidenceGone  Evidence = "not-here"      // the file of this version is no longer here
)

// EvidenceOf looks for the published file of a role and version and verifies a
// signature over it with the key that one of the published roots names. hash is the
// SHA-256 of the signed part, hex. Errors: *FileError, of files it had to read.
func EvidenceOf(r *repo.Repo, p *repo.Published, role string, version int64, hash string, keyID tuf.KeyID, sig []byte) (Evidence, error) {
	env, err := publishedVersion(r, role, version)
	if err != nil {
		return "", err
	}
	if env == nil && version > p.VersionOf(role) {
		return EvidenceOther, nil
	}
	if env == nil {
		return EvidenceGone, nil
	}
	if sum := sha256.Sum256(env.Signed()); hex.EncodeToString(sum[:]) != hash {
		return EvidenceOther, nil
	}
	if !meta.IsRole(role) {
		return coldEvidence(r, env, version, keyID, sig)
	}
	chain, err := r.RootChain(p)
	if err != nil {
		return "", err
	}
	for _, data := range chain {
		root, _, err := meta.OpenRoot("repository/N.root.json", data)
		if err != nil {
			return "", err
		}
		k, _, ok := root.Key(keyID)
		if ok && wiresig.Verify(k.Public, env.Signed(), sig) == nil {
			return EvidenceGood, nil
		}
	}
	return EvidenceBad, nil
}

// coldEvidence looks for the key of a cold role in the targets that was signed with it, or
// that lies here: both are of one version.
func coldEvidence(r *repo.Repo, env *meta.Envelope, version int64, keyID tuf.KeyID, sig []byte) (Evidence, error) {
	for _, n := range []int64{version, 0} {
		name := meta.FileName(meta.RoleTargets, n)
		data, err := r.ReadRole(meta.RoleTargets, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		targets, err := meta.ParseEnvelope(data)
		if err != nil {
			return "", &meta.FileError{File: "repository/" + name, Err: err}
		}
		t, err := meta.ParseTargets(targets.Text())
		if err != nil {
			return "", &meta.FileError{File: "repository/" + name, Err: err}
		}
		d, err := t.Delegated()
		if err != nil {
			return "", &meta.FileError{File: "repository/" + name, Err: err}
		}
		for _, cr := range d.Roles {
			for _, k := range cr.Keys {
				if k.ID == keyID && wiresig.Verify(k.Public, env.Signed(), sig) == nil {
					return EvidenceGood, nil
				}
			}
		}
	}
	return EvidenceBad, nil
}

// publishedVersion reads N.ROLE.json, or ROLE.json if that is the version; nil if
// neither is here.
func publishedVersion(r *repo.Repo, role string, version int64) (*meta.Envelope, error) {
	for _, n := range []int64{version, 0} {
		name := meta.FileName(role, n)
		data, err := r.ReadRole(role, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		env, err := meta.ParseEnvelope(data)
		if err != nil {
			return nil, &meta.FileError{File: "repository/" + name, Err: err}
		}
		v, err := versionIn(env)
		if err != nil {
			return nil, &meta.FileError{File: "repository/" + name, Err: err}
		}
		if v == version {
			return env, nil
		}
	}
	return nil, nil
}

func versionIn(env *meta.Envelope) (int64, error) {
	var head struct {
		Version *int64 `json:"version"`
	}
	if err := json.Unmarshal(env.Text(), &head); err != nil {
		return 0, err
	}
	if head.Version == nil {
		return 0, errors.New("it has no version")
	}
	return *head.Version, nil
}
