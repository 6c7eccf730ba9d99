package repo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Change is a new root, a new targets, or both, on its way to being signed. Snapshot
// and timestamp are not in it: their hashes depend on the signatures here, so they
// are built at commit.
type Change struct {
	// BaseRoot and BaseTargets are the published versions it was made from; 0 for a
	// repository that is only being made.
	BaseRoot, BaseTargets int64
	// Intents says in words what it does, one entry for each command that made it.
	Intents []string
	// Stagings say of each intent which command staged it; none for what older versions
	// staged.
	Stagings []Staging
	Created  time.Time
	// Fresh: as it is now, it is in no file of pending/ yet, neither saved nor in a
	// journal. Only then may it be forgotten, and keys that were made for it taken back.
	Fresh bool
	// Warnings name signatures that were dropped when it was loaded.
	Warnings []string

	root       *meta.Root // the root that will be in force; never nil
	rootDoc    *meta.Doc  // nil: root stays as published
	targets    *meta.Targets
	targetsDoc *meta.Doc // nil: targets stays as published
	// cold are the roles besides targets that are signed anew, by name.
	cold map[string]*coldStaged
	// oldRoot is the published root, nil at init.
	oldRoot *meta.Root
	stamp   Staging // of the command at work
	loaded  bool    // some of it was read from a file
}

// maxChangeSize bounds pending/change.json, in bytes.
const maxChangeSize = tuf.MaxTargets + tuf.MaxTargets/2

// changeFile is pending/change.json.
type changeFile struct {
	Schema      int             `json:"schema"`
	BaseRoot    int64           `json:"base_root"`
	BaseTargets int64           `json:"base_targets"`
	Created     time.Time       `json:"created"`
	Intents     []string        `json:"intents"`
	Stagings    []Staging       `json:"stagings,omitempty"`
	Root        json.RawMessage `json:"root,omitempty"`
	Targets     json.RawMessage `json:"targets,omitempty"`
	// Cold are roles that targets delegates to, by name.
	Cold map[string]json.RawMessage `json:"cold,omitempty"`
}

// Docs gives what has to be signed, root first.
func (c *Change) Docs() []*meta.Doc {
	var docs []*meta.Doc
	if c.rootDoc != nil {
		docs = append(docs, c.rootDoc)
	}
	if c.targetsDoc != nil {
		docs = append(docs, c.targetsDoc)
	}
	for _, name := range slices.Sorted(maps.Keys(c.cold)) {
		docs = append(docs, c.cold[name].doc)
	}
	return docs
}

// Doc gives what the role has to sign, or nil.
func (c *Change) Doc(role string) *meta.Doc {
	for _, d := range c.Docs() {
		if d.Role() == role {
			return d
		}
	}
	return nil
}

// Root is the root that will be in force after the commit.
func (c *Change) Root() *meta.Root { return c.root }

// Targets is the staged targets, or nil if they stay as published.
func (c *Change) Targets() *meta.Targets { return c.targets }

// Met reports whether root and targets have all the signatures they need.
func (c *Change) Met() bool {
	for _, d := range c.Docs() {
		if !d.Met() {
			return false
		}
	}
	return true
}

// Start makes a change on top of what is published, or goes on with a staged one: that
// one stays on disk as it was until the longer one is saved.
func (r *Repo) Start(p *Published, staged *Change) *Change {
	if staged != nil {
		staged.Fresh, staged.stamp = true, r.stamp()
		return staged
	}
	return &Change{
		BaseRoot: p.Root.Version(), BaseTargets: p.VersionOf(meta.RoleTargets),
		Created: meta.UTCSecond(r.now()), Fresh: true, root: p.Root, oldRoot: p.Root, stamp: r.stamp(),
	}
}

// CurrentTargets gives the targets that the change would publish.
func (c *Change) CurrentTargets(p *Published) *meta.Targets {
	if c.targets != nil {
		return c.targets
	}
	return p.Targets
}

// setTargets makes t the staged targets, unsigned.
func (c *Change) setTargets(t *meta.Targets, next number, expires time.Time) error {
	version := next.v
	t.Renumber(version, expires)
	signed, err := t.Encode()
	if err != nil {
		return err
	}
	c.targets = t
	if c.targetsDoc != nil && string(c.targetsDoc.Payload()) == string(signed) {
		return nil
	}
	c.targetsDoc = meta.NewDoc(meta.RoleTargets, version, t.Expires(), meta.NewEnvelope(signed))
	c.refreshSets()
	return nil
}

// setRoot makes root the staged root, unsigned.
func (c *Change) setRoot(root *meta.Root, next number, expires time.Time) error {
	version := next.v
	root.Renumber(version, expires)
	signed, err := root.Encode()
	if err != nil {
		return err
	}
	if len(signed) > meta.MaxRootSize-8192 {
		return meta.Refuse(meta.TooLarge, "root would be %d bytes with no room for signatures; clients refuse more than %d", len(signed), meta.MaxRootSize)
	}
	c.root = root
	if c.rootDoc == nil || string(c.rootDoc.Payload()) != string(signed) {
		c.rootDoc = meta.NewDoc(meta.RoleRoot, version, root.Expires(), meta.NewEnvelope(signed))
	}
	c.refreshSets()
	return nil
}

// refreshSets tells each document which keys and thresholds count now.
func (c *Change) refreshSets() {
	if c.rootDoc != nil {
		sets := []meta.KeySet{c.root.Signers(meta.RoleRoot)}
		if c.oldRoot != nil {
			sets = []meta.KeySet{c.oldRoot.Signers(meta.RoleRoot), c.root.Signers(meta.RoleRoot)}
		}
		c.rootDoc.SignWith(sets...)
	}
	if c.targetsDoc != nil {
		c.targetsDoc.SignWith(c.root.Signers(meta.RoleTargets))
	}
	c.refreshColdSets()
}

// Save keeps the change in pending/ until it is committed or discarded. Content must
// be there already. The lock must be held.
func (r *Repo) Save(c *Change) error {
	f := changeFile{Schema: 1, BaseRoot: c.BaseRoot, BaseTargets: c.BaseTargets, Created: c.Created, Intents: c.Intents, Stagings: c.Stagings}
	for _, d := range c.Docs() {
		b, err := d.Bytes()
		if err != nil {
			return fmt.Errorf("staging %s: %w", d.Role(), err)
		}
		f.put(d.Role(), b)
	}
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	// The names of its content have to be as durable as the change itself.
	if err := atomicfile.SyncDir(r.pending("content")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("saving the staged change: %w", err)
	}
	// Before the write: it may have renamed the file although it reports an error.
	c.Fresh = false
	if err := atomicfile.Write(r.pending("change.json"), data, 0o600); err != nil {
		return fmt.Errorf("saving the staged change: %w", err)
	}
	return nil
}

// Staged loads the staged change and checks it against what is published (p is nil
// when nothing is, at init). Signatures that do not verify are dropped and named in
// Warnings. Errors: ErrNothingStaged, *FileError, *RefusedError{PublishedMoved}.
func (r *Repo) Staged(p *Published) (*Change, error) {
	data, err := r.readPending("change.json", maxChangeSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNothingStaged
	}
	if err != nil {
		return nil, err
	}
	var f changeFile
	if err := schema.Check("pending/change.json", "schema", data, 1); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, &meta.FileError{File: "pending/change.json", Reason: "not a staged change", Err: err}
	}
	if f.Schema != 1 {
		return nil, &meta.FileError{File: "pending/change.json", Reason: fmt.Sprintf("its schema is %d, which there is none of", f.Schema)}
	}
	c, err := assemble("pending/change.json", f, p)
	if r.goesWithCommit(err) {
		return nil, ErrNothingStaged
	}
	return c, err
}

// assemble makes a change from what was read of file, on top of p (nil at init).
func assemble(file string, f changeFile, p *Published) (*Change, error) {
	c := &Change{BaseRoot: f.BaseRoot, BaseTargets: f.BaseTargets, Created: f.Created, Intents: f.Intents, loaded: true}
	var err error
	if c.Stagings, err = readStagings(file, f); err != nil {
		return nil, err
	}
	if p != nil {
		c.oldRoot, c.root = p.Root, p.Root
		if err := c.checkBase(p); err != nil {
			return nil, err
		}
	} else if f.BaseRoot != 0 {
		return nil, meta.Refuse(meta.PublishedMoved, "the staged change was made on root v%d, and nothing is published here", f.BaseRoot)
	}
	if err := c.readRoot(file, f.Root); err != nil {
		return nil, err
	}
	if err := c.readTargets(file, f.Targets); err != nil {
		return nil, err
	}
	if err := c.readCold(file, f.Cold); err != nil {
		return nil, err
	}
	if c.root == nil {
		return nil, &meta.FileError{File: file, Reason: "holds no root, and nothing is published"}
	}
	c.refreshSets()
	c.dropBad()
	return c, nil
}

func (c *Change) checkBase(p *Published) error {
	if c.BaseRoot != p.Root.Version() {
		return meta.Refuse(meta.PublishedMoved, "the staged change was made on root v%d; root v%d is published now", c.BaseRoot, p.Root.Version())
	}
	if p.Targets != nil && c.BaseTargets != p.Targets.Version() {
		return meta.Refuse(meta.PublishedMoved, "the staged change was made on targets v%d; targets v%d is published now", c.BaseTargets, p.Targets.Version())
	}
	return nil
}

func (c *Change) readRoot(file string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return &meta.FileError{File: file, Reason: "staged root", Err: err}
	}
	root, err := meta.ParseRoot(env.Text())
	if err != nil {
		return &meta.FileError{File: file, Reason: "staged root", Err: err}
	}
	if root.Version() != c.BaseRoot+1 {
		return &meta.FileError{File: file, Reason: fmt.Sprintf("staged root is v%d, not v%d", root.Version(), c.BaseRoot+1)}
	}
	c.root = root
	c.rootDoc = meta.NewDoc(meta.RoleRoot, root.Version(), root.Expires(), env)
	return nil
}

func (c *Change) readTargets(file string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return &meta.FileError{File: file, Reason: "staged targets", Err: err}
	}
	t, err := meta.ParseTargets(env.Text())
	if err != nil {
		return &meta.FileError{File: file, Reason: "staged targets", Err: err}
	}
	// Not always the next: versions that were published and are lost are passed over.
	if t.Version() <= c.BaseTargets {
		return &meta.FileError{File: file, Reason: fmt.Sprintf("staged targets is v%d, and v%d is published", t.Version(), c.BaseTargets)}
	}
	if err := tuf.CheckVersion(meta.RoleTargets, c.BaseTargets, t.Version()); err != nil {
		return &meta.FileError{File: file, Reason: "staged targets", Err: err}
	}
	c.targets = t
	c.targetsDoc = meta.NewDoc(meta.RoleTargets, t.Version(), t.Expires(), env)
	return nil
}

func (c *Change) dropBad() {
	for _, d := range c.Docs() {
		for _, id := range d.DropBad() {
			c.Warnings = append(c.Warnings, fmt.Sprintf("dropped a signature of key %s over %s: it does not verify or is of no key of the role", id.Short(), d.Role()))
		}
	}
}

// Intend adds a line to what the change says of itself.
func (c *Change) Intend(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !slices.Contains(c.Intents, s) {
		c.Intents = append(c.Intents, s)
		c.stamp.Intent = s
		c.Stagings = append(c.Stagings, c.stamp)
	}
}

// HasStaged reports whether a staged change waits in pending/.
func (r *Repo) HasStaged() (bool, error) { return exists(r.pending("change.json")) }

// dropStaged removes the staged change and its content.
func (r *Repo) dropStaged() error {
	err := os.Remove(r.pending("change.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(r.pending("content"))
}

// StagedFile gives the bytes of the staged change on disk, nil if there is none, for
// [Repo.Withdraw]. The lock must be held.
func (r *Repo) StagedFile() ([]byte, error) {
	data, err := r.readPending("change.json", maxChangeSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Withdraw takes a saved change out of pending/ again, puts back what was staged before
// it was saved (nil: nothing), and makes it as it was then. The lock must be held.
func (r *Repo) Withdraw(c *Change, earlier []byte) error {
	if earlier != nil {
		c.Fresh = true
		return atomicfile.Write(r.pending("change.json"), earlier, 0o600)
	}
	if err := r.dropStaged(); err != nil {
		return err
	}
	c.Fresh = true
	return atomicfile.SyncDir(r.pending())
}

// DropContent removes staged content that no saved change uses, at once instead of
// at the next lock.
func (r *Repo) DropContent() error {
	staged, err := r.HasStaged()
	if err != nil || staged {
		return err
	}
	return os.RemoveAll(r.pending("content"))
}
