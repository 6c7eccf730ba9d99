package forge

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/data"
)

// Role is one of root, targets, snapshot, timestamp.
type Role struct {
	Keys      []Key
	Threshold int
	// Signers sign instead of Keys if set, for example old and new root keys.
	Signers []Key
	// Version is that of the file written last; Sign raises it by one.
	Version int64
	Expires time.Time
}

// Repo is a web root in the making.
type Repo struct {
	Dir        string
	Consistent bool
	Roles      map[string]*Role
	// Listed keys stand in root.keys although no role has them.
	Listed []Key
	// Extra signatures are attached to everything, for example of unknown keys.
	Extra   []data.Signature
	Targets data.TargetFiles
	// Indent writes metadata with indentation, as fleet-hsm must not.
	Indent bool
	// ByVersion leaves length and hashes out of snapshot and timestamp.
	ByVersion bool

	// written holds the bytes of each file written last.
	written map[string][]byte
}

// RoleNames are the four roles, in the order in which they are signed.
func RoleNames() []string { return []string{"root", "targets", "snapshot", "timestamp"} }

// New prepares a repository in dir whose roles each have one key made by key, valid
// for a day. Nothing is written yet.
func New(dir string, key func() Key) *Repo {
	r := &Repo{Dir: dir, Roles: map[string]*Role{}, Targets: data.TargetFiles{}, written: map[string][]byte{}}
	for _, name := range RoleNames() {
		r.Roles[name] = &Role{Keys: []Key{key()}, Threshold: 1, Expires: time.Now().Add(24 * time.Hour).Round(time.Second)}
	}
	return r
}

// Add writes a target file and notes it in Targets; sign targets to publish it.
func (r *Repo) Add(name, version string, content []byte) error {
	meta, err := Describe(version, content)
	if err != nil {
		return err
	}
	r.Targets[name] = meta
	place := name
	if r.Consistent {
		place = path.Join(path.Dir(name), hex.EncodeToString(meta.Hashes["sha512"])+"."+path.Base(name))
	}
	return r.write(path.Join("targets", place), content)
}

// Describe gives the metadata of a target as fleetctl writes it.
func Describe(version string, content []byte) (data.TargetFileMeta, error) {
	custom, err := json.Marshal(map[string]string{"version": version})
	if err != nil {
		return data.TargetFileMeta{}, err
	}
	raw := json.RawMessage(custom)
	return data.TargetFileMeta{FileMeta: data.FileMeta{Length: int64(len(content)), Hashes: sha512Of(content)}, Custom: &raw}, nil
}

func sha512Of(content []byte) data.Hashes {
	sum := sha512.Sum512(content)
	return data.Hashes{"sha512": sum[:]}
}

// All signs the four roles.
func (r *Repo) All() error {
	return errors.Join(r.SignRoot(), r.SignTargets(), r.SignSnapshot(), r.SignTimestamp())
}

// Rest signs targets, snapshot and timestamp.
func (r *Repo) Rest() error {
	return errors.Join(r.SignTargets(), r.SignSnapshot(), r.SignTimestamp())
}

// root is data.Root with keys of any form.
type root struct {
	Type        string                     `json:"_type"`
	SpecVersion string                     `json:"spec_version"`
	Version     int64                      `json:"version"`
	Expires     time.Time                  `json:"expires"`
	Keys        map[string]json.RawMessage `json:"keys"`
	Roles       map[string]*data.Role      `json:"roles"`
	Consistent  bool                       `json:"consistent_snapshot"`
}

// SignRoot writes root.json and N.root.json.
func (r *Repo) SignRoot() error {
	role := r.Roles["root"]
	signed := root{
		Type: "root", SpecVersion: "1.0", Version: role.Version + 1, Expires: role.Expires,
		Keys: map[string]json.RawMessage{}, Roles: map[string]*data.Role{}, Consistent: r.Consistent,
	}
	for _, key := range r.Listed {
		signed.Keys[key.ID] = key.Object
	}
	for _, name := range RoleNames() {
		ids := []string{}
		for _, key := range r.Roles[name].Keys {
			signed.Keys[key.ID] = key.Object
			ids = append(ids, key.ID)
		}
		signed.Roles[name] = &data.Role{KeyIDs: ids, Threshold: r.Roles[name].Threshold}
	}
	return r.sign("root", signed)
}

// SignTargets writes targets.json over Targets.
func (r *Repo) SignTargets() error {
	role := r.Roles["targets"]
	signed := data.NewTargets()
	signed.Version, signed.Expires, signed.Targets = role.Version+1, role.Expires, r.Targets
	return r.sign("targets", signed)
}

// SignSnapshot writes snapshot.json over the targets.json written last.
func (r *Repo) SignSnapshot() error {
	role := r.Roles["snapshot"]
	signed := data.NewSnapshot()
	signed.Version, signed.Expires = role.Version+1, role.Expires
	length, hashes := r.described("targets.json")
	signed.Meta["targets.json"] = data.SnapshotFileMeta{Length: length, Hashes: hashes, Version: r.Roles["targets"].Version}
	return r.sign("snapshot", signed)
}

// SignTimestamp writes timestamp.json over the snapshot.json written last.
func (r *Repo) SignTimestamp() error {
	role := r.Roles["timestamp"]
	signed := data.NewTimestamp()
	signed.Version, signed.Expires = role.Version+1, role.Expires
	length, hashes := r.described("snapshot.json")
	signed.Meta["snapshot.json"] = data.TimestampFileMeta{Length: length, Hashes: hashes, Version: r.Roles["snapshot"].Version}
	return r.sign("timestamp", signed)
}

func (r *Repo) described(name string) (int64, data.Hashes) {
	if r.ByVersion {
		return 0, nil
	}
	content := r.written[name]
	return int64(len(content)), sha512Of(content)
}

// sign signs canonical JSON with the role's signers, raises the version and writes.
func (r *Repo) sign(name string, signed any) error {
	role := r.Roles[name]
	raw, err := json.Marshal(signed)
	if err != nil {
		return err
	}
	signers := role.Signers
	if signers == nil {
		signers = role.Keys
	}
	envelope, err := Sign(raw, signers...)
	if err != nil {
		return err
	}
	envelope.Signatures = append(envelope.Signatures, r.Extra...)
	content, err := r.encode(envelope)
	if err != nil {
		return err
	}
	role.Version++
	return r.publish(name, content)
}

// Sign puts signatures over the canonical form of raw.
func Sign(raw json.RawMessage, signers ...Key) (*data.Signed, error) {
	message, err := cjson.EncodeCanonical(raw)
	if err != nil {
		return nil, err
	}
	envelope := &data.Signed{Signed: raw, Signatures: []data.Signature{}}
	for _, key := range signers {
		sig, err := key.Sign(message)
		if err != nil {
			return nil, err
		}
		envelope.Signatures = append(envelope.Signatures, data.Signature{KeyID: key.ID, Signature: sig})
	}
	return envelope, nil
}

func (r *Repo) encode(envelope *data.Signed) ([]byte, error) {
	content, err := json.Marshal(envelope)
	if err != nil || !r.Indent {
		return content, err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, content, "", "  ")
	return indented.Bytes(), err
}

// publish writes the file under the names its role has.
func (r *Repo) publish(name string, content []byte) error {
	file := name + ".json"
	r.written[file] = content
	if name == "root" || r.Consistent && name != "timestamp" {
		if err := r.write(fmt.Sprintf("%d.%s", r.Roles[name].Version, file), content); err != nil {
			return err
		}
	}
	return r.write(file, content)
}

func (r *Repo) write(name string, content []byte) error {
	full := filepath.Join(r.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, content, 0o644)
}
