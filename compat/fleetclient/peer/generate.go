package peer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/theupdateframework/go-tuf/data"
	"github.com/theupdateframework/go-tuf/pkg/keys"
)

// RoleSpec says how a role of a generated directory looks.
type RoleSpec struct {
	Keys      int    // 0 means 1
	Threshold int    // 0 means 1
	Algorithm string // ed25519 (default), p256, rsa2048, rsa3072, rsa4096
	// Version of the role's metadata; 0 means 1.
	Version int64
	// Expired metadata is signed as everything else, a day too late.
	Expired bool
}

// Spec describes a directory to generate; the zero value is what init makes.
type Spec struct {
	Roles map[string]RoleSpec
	// Targets is how many targets to publish: small scripts that answer --help.
	Targets int
	// Consistent makes a consistent-snapshot repository, which fleetctl never does.
	Consistent bool
	// ExpiredFirstRoot: 1.root.json ran out long ago; needs root version 2 or more.
	ExpiredFirstRoot bool
	// Location is the zone in which expiries are written; nil is the local one.
	Location *time.Location
	// ScryptN of the key files; 0 is go-tuf v0.5.2's 32768.
	ScryptN int
}

// Generate makes a directory as years of fleetctl and tuf would leave it. Each root
// version after the first brings one new key for a role in turn (root, targets, ...)
// and drops that role's oldest, signed by all root keys there ever were. Passphrases
// come from the environment. No key file is opened, so it is quick.
func Generate(dir string, spec Spec) error {
	g := &generator{dir: dir, spec: spec, files: map[string][]keys.Signer{}}
	g.repo = forge.New(filepath.Join(dir, "repository"), forge.Ed25519)
	g.repo.Consistent = spec.Consistent
	for _, step := range []func() error{g.makeKeys, g.roots, g.targets, g.rest, g.keyFiles} {
		if err := step(); err != nil {
			return err
		}
	}
	return stagedFolder(dir)
}

type generator struct {
	dir  string
	spec Spec
	repo *forge.Repo
	// files holds what goes into keys/ROLE.json, revoked keys included.
	files map[string][]keys.Signer
}

func (g *generator) makeKeys() error {
	for _, name := range forge.RoleNames() {
		want, role := g.spec.Roles[name], g.repo.Roles[name]
		role.Keys, role.Threshold = nil, max(want.Threshold, 1)
		role.Expires = g.expiry(name, want.Expired)
		for range max(want.Keys, 1) {
			if err := g.addKey(name); err != nil {
				return err
			}
		}
	}
	g.repo.Roles["root"].Signers = slices.Clone(g.repo.Roles["root"].Keys)
	return nil
}

func (g *generator) addKey(name string) error {
	signer, err := newSigner(g.spec.Roles[name].Algorithm)
	if err != nil {
		return err
	}
	key, err := forge.FromSigner(signer)
	if err != nil {
		return err
	}
	g.files[name] = append(g.files[name], signer)
	g.repo.Roles[name].Keys = append(g.repo.Roles[name].Keys, key)
	if name == "root" {
		g.repo.Roles[name].Signers = append(g.repo.Roles[name].Signers, key)
	}
	return nil
}

func (g *generator) expiry(name string, expired bool) time.Time {
	life := map[string]time.Duration{"root": rootLife, "targets": targetsLife, "snapshot": snapshotLife, "timestamp": timestampLife}[name]
	if expired {
		life = 0
	}
	location := g.spec.Location
	if location == nil {
		location = time.Local
	}
	// The directory was signed a day ago, so that whoever takes it over signs expiries
	// that lie behind these.
	return time.Now().In(location).Add(life - 24*time.Hour).Round(time.Second)
}

// roots writes every version of root.
func (g *generator) roots() error {
	role := g.repo.Roles["root"]
	last := max(g.spec.Roles["root"].Version, 1)
	final := role.Expires
	if g.spec.ExpiredFirstRoot {
		if last < 2 {
			return fmt.Errorf("an expired first root needs a second one")
		}
		role.Expires = final.AddDate(-11, 0, 0)
	}
	if err := g.repo.SignRoot(); err != nil {
		return err
	}
	role.Expires = final
	for role.Version < last {
		name := forge.RoleNames()[(role.Version-1)%4]
		if err := g.addKey(name); err != nil {
			return err
		}
		g.repo.Roles[name].Keys = g.repo.Roles[name].Keys[1:]
		if err := g.repo.SignRoot(); err != nil {
			return err
		}
	}
	return nil
}

// rest signs the other roles until each has its version.
func (g *generator) rest() error {
	for _, name := range forge.RoleNames()[1:] {
		g.repo.Roles[name].Version = max(g.spec.Roles[name].Version, 1) - 1
	}
	return g.repo.Rest()
}

func newSigner(algorithm string) (keys.Signer, error) {
	switch algorithm {
	case "", "ed25519":
		return keys.GenerateEd25519Key()
	case "p256":
		return keys.GenerateEcdsaKey()
	case "rsa2048":
		return rsaSigner(2048)
	case "rsa3072":
		return rsaSigner(3072)
	case "rsa4096":
		return rsaSigner(4096)
	}
	return nil, fmt.Errorf("unknown algorithm %q: ed25519, p256, rsa2048, rsa3072 or rsa4096", algorithm)
}

// rsaSigner makes a key of any length; go-tuf itself generates 2048 bits only.
func rsaSigner(bits int) (keys.Signer, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(map[string]string{
		"private": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})),
		"public":  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	})
	if err != nil {
		return nil, err
	}
	return keys.GetSigner(&data.PrivateKey{
		Type: data.KeyTypeRSASSA_PSS_SHA256, Scheme: data.KeySchemeRSASSA_PSS_SHA256,
		Algorithms: data.HashAlgorithms, Value: value,
	})
}
