package history

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/peer"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// world is one repository with everything that the sequence knows of it.
type world struct {
	t          *testing.T
	rng        *rand.Rand
	consistent bool
	archives   bool   // commands on the archive are among ours, and none of fleetctl's
	base, dir  string // dir holds repository/; the keys for the child lie in base
	url        string
	keys       keyring
	copies     []files
	newest     files    // of each file in repository/, as a store would have it
	told       []string // steps so far
	n          int      // counts contents

	numbered  map[string]string // every N.*.json of ours, with its bytes
	signed    map[string]string // "targets 7" -> SHA-256 of its signed part
	saw, old  *orbit.Agent
	firstRoot []byte
	others    others
}

// files is a copy of some of the folder, by path below it.
type files map[string]string

// keyring holds every key there ever was: ID to private key.
type keyring map[string]ed25519.PrivateKey

func newWorld(t *testing.T, seed uint64, archives bool, base, url string) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 20)), base: base, dir: filepath.Join(base, "r"), url: url + "/r/repository",
		keys: keyring{}, numbered: map[string]string{}, newest: files{}, signed: map[string]string{}}
	w.consistent, w.archives = seed%2 == 0, archives
	for _, dir := range []string{w.dir, filepath.Join(w.dir, "keys"), filepath.Join(w.dir, "staged", "targets")} {
		w.must(os.MkdirAll(dir, 0o755))
	}
	w.must(w.ours("init", func() error {
		return w.locked(func(r *repo.Repo) error {
			keys := map[string][]meta.Key{}
			for _, role := range meta.Roles() {
				keys[role] = []meta.Key{w.newKey()}
			}
			c, err := r.Init(repo.InitOptions{Keys: keys, Consistent: w.consistent})
			if err != nil {
				return err
			}
			return w.keys.publish(r, nil, c)
		})
	}))
	w.firstRoot = w.read("repository/1.root.json")
	w.old, w.saw = w.agent(w.firstRoot), w.agent(w.firstRoot)
	w.copies = append(w.copies, w.copy())
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%v", err)
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s: %s\nafter: %s", w.t.Name(), fmt.Sprintf(format, args...), strings.Join(w.told, "\n       "))
}

func (w *world) read(name string) []byte {
	data, _ := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(name)))
	return data
}

func (w *world) newKey() meta.Key {
	pub, priv, err := ed25519.GenerateKey(nil)
	w.must(err)
	k, err := meta.NewKey(pub)
	w.must(err)
	w.keys[k.ID.String()] = priv
	return k
}

// locked runs a command of ours.
func (w *world) locked(f func(r *repo.Repo) error) error { return locked(w.dir, false, f) }

func locked(dir string, mending bool, f func(r *repo.Repo) error) error {
	r := repo.Open(dir, repo.Options{})
	take := r.Lock
	if mending {
		take = r.LockToMend
	}
	l, err := take(context.Background(), "history", 10*time.Second)
	if err != nil {
		return err
	}
	defer l.Unlock()
	return f(r)
}

func (kr keyring) sign(d *meta.Doc) error {
	for _, k := range d.Missing() {
		if priv, ok := kr[k.ID.String()]; ok {
			if err := d.AddSignature(k.ID, ed25519.Sign(priv, d.Payload())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (kr keyring) publish(r *repo.Repo, p *repo.Published, c *repo.Change) error {
	for _, d := range c.Docs() {
		if err := kr.sign(d); err != nil {
			return err
		}
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		return err
	}
	return kr.commit(r, rel)
}

func (kr keyring) commit(r *repo.Repo, rel *repo.Release) error {
	for {
		d, err := rel.Next()
		if err != nil {
			return err
		}
		if d == nil {
			return r.Commit(rel)
		}
		if err := kr.sign(d); err != nil {
			return err
		}
	}
}

// copy takes a copy of everything that a restore may bring back.
func (w *world) copy() files {
	c := files{}
	for _, top := range []string{"repository", "pending"} {
		err := filepath.WalkDir(filepath.Join(w.dir, top), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, _ := filepath.Rel(w.dir, path)
			if name := filepath.ToSlash(rel); name != "pending/lock" && name != "pending/history.json" {
				c[name] = string(w.read(name))
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.must(err)
		}
	}
	return c
}

// restore lays the chosen files of a copy over the folder; with sync it takes away what
// was chosen and the copy does not have.
func (w *world) restore(c files, chosen func(name string) bool, sync bool) {
	for name, data := range c {
		if chosen(name) {
			file := filepath.Join(w.dir, filepath.FromSlash(name))
			w.must(os.MkdirAll(filepath.Dir(file), 0o755))
			w.must(os.RemoveAll(file))
			w.must(os.WriteFile(file, []byte(data), 0o644))
		}
	}
	if !sync {
		return
	}
	for name := range w.copy() {
		if _, had := c[name]; !had && chosen(name) {
			w.must(os.Remove(filepath.Join(w.dir, filepath.FromSlash(name))))
		}
	}
}

var (
	numbered = regexp.MustCompile(`^[1-9][0-9]*\.(root|targets|snapshot|archive-[a-z-]+)\.json$`)
	plain    = regexp.MustCompile(`^(root|targets|snapshot|timestamp|archive-[a-z-]+)\.json$`)
	cold     = regexp.MustCompile(`archive-[a-z-]+`)
)

// ours runs a command of ours and holds what is demanded of every one: a numbered file
// keeps its bytes, and what is new in the folder afterwards was signed just now, so none
// of it may have the number of anything that we signed or built upon.
func (w *world) ours(step string, run func() error) error {
	before := w.metadata()
	err := run()
	after := w.metadata()
	for name, data := range after {
		was, there := before[name]
		if there && was == data {
			continue
		}
		role, hash := signedPart(name, data)
		if numbered.MatchString(name) {
			if known, ever := w.numbered[name]; there || ever && known != data {
				w.fail("%s: %q has other bytes now", step, name)
			}
		}
		if known, ever := w.signed[role]; ever && known != hash {
			w.fail("%s: %s is published with another content", step, role)
		}
		w.numbered[name], w.signed[role] = data, hash
	}
	w.built(before, after, err)
	return err
}

// built notes what a commit of ours stands upon, and takes the state for the newest.
func (w *world) built(before, after files, err error) {
	if !w.stored() || err != nil || maps.Equal(before, after) {
		return // after a recovery nothing new stands
	}
	for name, data := range after {
		role, hash := signedPart(name, data)
		w.numbered[name], w.signed[role] = data, hash
	}
}

// stored takes what is published for the newest, as a store does whoever made it, unless
// it went back.
func (w *world) stored() bool {
	r := repo.Open(w.dir, repo.Options{})
	p, err := r.Load()
	if err != nil || r.CheckStanding(p) != nil || r.CheckChain(p) != nil {
		w.stamped()
		return false
	}
	if waits, err := r.InterruptedCommit(); waits || err != nil {
		return false
	}
	for _, name := range p.Cold() {
		if _, err := p.ColdTargets(name); err != nil {
			return false
		}
	}
	// A store takes no timestamp below the one that it has.
	if known, err := versionOf(w.newest["repository/timestamp.json"]); err == nil && p.VersionOf(meta.RoleTimestamp) < known {
		return false
	}
	w.newest = w.copy()
	return true
}

func versionOf(data string) (int64, error) {
	var f struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	err := json.Unmarshal([]byte(data), &f)
	return f.Signed.Version, err
}

// stamped takes a timestamp over the snapshot that the newest has: "timestamp --store" looks
// no further than that, and brings it there.
func (w *world) stamped() {
	const snapshot, timestamp = "repository/snapshot.json", "repository/timestamp.json"
	same := string(w.read(snapshot)) == w.newest[snapshot] && string(w.read("repository/root.json")) == w.newest["repository/root.json"]
	if p, err := repo.Open(w.dir, repo.Options{}).LoadOnline(); err == nil && same && len(p.Warnings) == 0 {
		w.newest[timestamp] = string(w.read(timestamp))
	}
}

// metadata reads the metadata in repository/.
func (w *world) metadata() files {
	out := files{}
	entries, err := os.ReadDir(filepath.Join(w.dir, "repository"))
	if errors.Is(err, fs.ErrNotExist) {
		return out
	}
	w.must(err)
	for _, e := range entries {
		if name := e.Name(); numbered.MatchString(name) || plain.MatchString(name) {
			out[name] = string(w.read("repository/" + name))
		}
	}
	return out
}

// signedPart gives "targets 7" and the hash of what is signed, as it stands. The files of
// cold roles say that they are targets.
func signedPart(name, data string) (role, hash string) {
	var f struct {
		Signed json.RawMessage `json:"signed"`
	}
	var head struct {
		Type    string `json:"_type"`
		Version int64  `json:"version"`
	}
	_ = json.Unmarshal([]byte(data), &f)
	_ = json.Unmarshal(f.Signed, &head)
	if role := cold.FindString(name); role != "" {
		head.Type = role
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, f.Signed)
	sum := sha256.Sum256(compact.Bytes())
	return fmt.Sprintf("%s %d", head.Type, head.Version), hex.EncodeToString(sum[:])
}

func (w *world) agent(root []byte) *orbit.Agent {
	a, err := orbit.Open(orbit.Options{URL: w.url, Root: root})
	w.must(err)
	return a
}

// writeKeys gives fleetctl the keys that root names, in files without a passphrase: what
// it does with them is the same, and scrypt takes no time.
func (w *world) writeKeys() {
	var root struct {
		Signed struct {
			Roles map[string]struct {
				KeyIDs []string `json:"keyids"`
			} `json:"roles"`
		} `json:"signed"`
	}
	_ = json.Unmarshal(w.read("repository/root.json"), &root)
	for _, role := range meta.Roles() {
		list := []map[string]any{}
		for _, id := range root.Signed.Roles[role].KeyIDs {
			priv := w.keys[id]
			list = append(list, map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyid_hash_algorithms": []string{"sha256", "sha512"},
				"keyval": map[string]string{"public": hex.EncodeToString(priv.Public().(ed25519.PublicKey)), "private": hex.EncodeToString(priv)}})
		}
		data, err := json.Marshal(map[string]any{"encrypted": false, "data": list})
		w.must(err)
		w.must(os.WriteFile(filepath.Join(w.dir, "keys", role+".json"), data, 0o600))
	}
}

// takeKeys learns the key that fleetctl's rotate has made.
func (w *world) takeKeys(role string) {
	var f struct {
		Encrypted bool            `json:"encrypted"`
		Data      json.RawMessage `json:"data"`
	}
	var list []struct {
		Value struct {
			Private string `json:"private"`
		} `json:"keyval"`
	}
	if json.Unmarshal(w.read("keys/"+role+".json"), &f) != nil || !f.Encrypted {
		return
	}
	w.must(encrypted.Unmarshal(f.Data, &list, []byte(os.Getenv(peer.PassphraseVariable(role)))))
	for _, k := range list {
		raw, err := hex.DecodeString(k.Value.Private)
		w.must(err)
		priv := ed25519.PrivateKey(raw)
		key, err := meta.NewKey(priv.Public())
		w.must(err)
		w.keys[key.ID.String()] = priv
	}
}
