package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// MaxTargets bounds the targets and cold roles of each kind that [Import] takes, in bytes.
const MaxTargets = 64 << 20

// Bundle is a staged change with everything that another machine needs to check it
// and to say what it means: metadata files as bytes.
type Bundle struct {
	// Roots are the published roots without gaps, the oldest first; none at init.
	Roots []json.RawMessage
	// Published is the published targets.json, if a new one is staged.
	Published json.RawMessage
	// Root and Targets are what is being signed, with the signatures so far; nil for
	// what stays as published.
	Root, Targets json.RawMessage
	// Cold are the cold roles that are being signed, by name, and PublishedCold those of
	// them that are published.
	Cold, PublishedCold map[string]json.RawMessage
	Intents             []string
	Created             time.Time
}

// RootLink is one root of a chain.
type RootLink struct {
	Version int64
	Expires time.Time
	// Hash is the SHA-256 of the canonical signed part, hex: the same whatever
	// signatures the file carries.
	Hash string
}

// Verified is a Bundle after every check.
type Verified struct {
	Published *repo.Published // nil at init; holds root and targets only
	Change    *repo.Change
	Chain     []RootLink
	env       []*meta.Envelope // of the chain
	roots     []*meta.Root
}

// Export gives a staged change as bytes. The chain goes as far back from the
// published root as N.root.json files stand here without a gap.
func Export(r *repo.Repo, p *repo.Published, c *repo.Change) (Bundle, error) {
	f, err := c.Envelopes()
	if err != nil {
		return Bundle{}, err
	}
	x := Bundle{Root: f.Root, Targets: f.Targets, Cold: f.Cold, Intents: slices.Clone(c.Intents), Created: c.Created}
	if p == nil {
		return x, nil
	}
	if x.Targets != nil {
		x.Published = p.File(meta.RoleTargets)
	}
	if x.PublishedCold, err = p.ColdFiles(c); err != nil {
		return Bundle{}, err
	}
	x.Roots, err = r.RootChain(p)
	return x, err
}

// Import checks a change that comes from elsewhere, without any repository: every
// root is signed by itself and by the one before it, the published targets by the
// last root; what is staged is numbered one higher, is well-formed in the eyes of
// every client, and is not expired. Signatures over it that do not verify are dropped
// and named in Change.Warnings. file names it in errors. Whether the first root is
// the right one is for the caller to ask: see [Verified.Trust]. Errors:
// *FileError, *ExpiredError.
func Import(file string, x Bundle, now time.Time) (*Verified, error) {
	im := &Verified{}
	if err := im.readChain(file, x.Roots); err != nil {
		return nil, err
	}
	if err := im.readPublished(file, x); err != nil {
		return nil, err
	}
	if len(x.Root) > meta.MaxRootSize || x.targetsSize() > MaxTargets {
		return nil, &meta.FileError{File: file, Reason: "what is staged is larger than clients take"}
	}
	var err error
	if im.Change, err = repo.ReadChange(file, im.Published, repo.Files{Root: x.Root, Targets: x.Targets, Cold: x.Cold}, x.Intents, x.Created); err != nil {
		return nil, err
	}
	return im, im.checkOffered(file, now)
}

func (im *Verified) readChain(file string, roots []json.RawMessage) error {
	if len(roots) > repo.MaxRoots {
		return &meta.FileError{File: file, Reason: fmt.Sprintf("%d roots; clients follow %d", len(roots), repo.MaxRoots)}
	}
	for i, data := range roots {
		if len(data) > meta.MaxRootSize {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("published root number %d of the chain is larger than %d bytes", i+1, meta.MaxRootSize)}
		}
		root, env, err := meta.OpenRoot(file, data)
		if err != nil {
			return fmt.Errorf("published root number %d of the chain: %w", i+1, err)
		}
		if i > 0 {
			if err := meta.Follows(file, im.roots[i-1], root, env); err != nil {
				return err
			}
		}
		im.roots, im.env = append(im.roots, root), append(im.env, env)
		im.Chain = append(im.Chain, linkOf(root, env))
	}
	return nil
}

func linkOf(root *meta.Root, env *meta.Envelope) RootLink {
	sum := sha256.Sum256(env.Signed())
	return RootLink{Version: root.Version(), Expires: root.Expires(), Hash: hex.EncodeToString(sum[:])}
}

func (im *Verified) readPublished(file string, x Bundle) error {
	if len(im.roots) == 0 {
		if len(x.Published) > 0 {
			return &meta.FileError{File: file, Reason: "holds published targets and no published root"}
		}
		return nil
	}
	if len(x.Published) == 0 && (len(x.Targets) > 0 || len(x.PublishedCold) > 0) {
		return &meta.FileError{File: file, Reason: "holds new targets and not the published ones"}
	}
	if x.publishedSize() > MaxTargets {
		return &meta.FileError{File: file, Reason: fmt.Sprintf("the published targets are larger than %d bytes", MaxTargets)}
	}
	var err error
	im.Published, err = repo.ReadPublished(file, x.Roots[len(x.Roots)-1], x.Published, x.PublishedCold)
	return err
}

// checkOffered refuses what nobody should sign, whoever asks for it.
func (im *Verified) checkOffered(file string, now time.Time) error {
	c := im.Change
	if len(c.Docs()) == 0 {
		return &meta.FileError{File: file, Reason: "asks for no signature"}
	}
	for _, d := range c.Docs() {
		if !now.Before(d.Expires()) {
			return &meta.ExpiredError{Role: "requested " + d.Role(), Version: d.Version(), Expired: d.Expires(), Now: now}
		}
	}
	if err := repo.CheckDelegations(im.Published, c); err != nil {
		return &meta.FileError{File: file, Err: err}
	}
	if c.Doc(meta.RoleRoot) != nil {
		return checkMembers(file, im.Published, c.Root())
	}
	// A new root may take the place of an expired one; nothing else can be published.
	return im.Published.Expired(now, meta.RoleRoot)
}

// checkMembers refuses a new root in which one key would count twice.
func checkMembers(file string, before *repo.Published, after *meta.Root) error {
	for _, role := range meta.Roles() {
		if before != nil && meta.UnchangedRole(before.Root, after, role) {
			continue
		}
		seen := map[string]bool{}
		for _, k := range after.Keys(role) {
			if seen[k.Fingerprint()] {
				return &meta.FileError{File: file, Reason: fmt.Sprintf("role %s would have one public key twice (key ID %s)", role, k.ShortID())}
			}
			seen[k.Fingerprint()] = true
		}
	}
	return nil
}

// Trust checks the chain against a root that the caller trusts: it must be one of the
// chain's, or the one before its first. Errors: *FileError,
// *RefusedError{PublishedMoved} for a change that was made before the trusted root, NoChange
// for one that made it.
func (im *Verified) Trust(file string, trusted []byte) error {
	root, env, err := meta.OpenRoot(file, trusted)
	if err != nil {
		return err
	}
	link := linkOf(root, env)
	if len(im.Chain) == 0 {
		return &meta.FileError{File: file, Reason: fmt.Sprintf("root v%d is trusted, and the request asks for a repository that is only being made", link.Version)}
	}
	if err := im.refuseDone(meta.RoleRoot, env); err != nil {
		return err
	}
	last := im.Chain[len(im.Chain)-1]
	if link.Version > last.Version {
		return meta.Refuse(meta.PublishedMoved, "the request was made on root v%d, and root v%d of %q is trusted already", last.Version, link.Version, file)
	}
	if first := im.Chain[0]; link.Version == first.Version-1 {
		return meta.Follows(file, root, im.roots[0], im.env[0])
	}
	for _, l := range im.Chain {
		if l.Version == link.Version && l.Hash == link.Hash {
			return nil
		}
		if l.Version == link.Version {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("the request's root v%d (sha256 %.16s) is not the trusted one (sha256 %.16s): it is of another repository", l.Version, l.Hash, link.Hash)}
		}
	}
	return &meta.FileError{File: file, Reason: fmt.Sprintf("root v%d is trusted, and the request's chain begins with v%d: too new to be checked", link.Version, im.Chain[0].Version)}
}

// CheckOrigin checks that a request belongs to this repository and to what is published
// now (p is nil while nothing is). Errors: *RefusedError{ForeignChange} for another
// repository, *RefusedError{PublishedMoved} for another state of this one, NoChange for what
// is published already.
func CheckOrigin(r *repo.Repo, p *repo.Published, im *Verified) error {
	if p == nil {
		if len(im.Chain) > 0 {
			return meta.Refuse(meta.ForeignChange, "it is for a repository that is published, and here nothing is")
		}
		return nil
	}
	now := p.Root.Version()
	if len(im.Chain) == 0 {
		return meta.Refuse(meta.ForeignChange, "it is for a repository that is only being made, and here root v%d is published", now)
	}
	shared := false
	for _, l := range im.Chain {
		data := p.File(meta.RoleRoot)
		if l.Version > now {
			continue
		}
		if l.Version < now {
			var err error
			if data, err = r.ReadRole(meta.RoleRoot, l.Version); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
		}
		env, err := meta.ParseEnvelope(data)
		if err != nil {
			return &meta.FileError{File: "repository/" + meta.FileName(meta.RoleRoot, l.Version), Err: err}
		}
		if sum := sha256.Sum256(env.Signed()); hex.EncodeToString(sum[:]) != l.Hash {
			return meta.Refuse(meta.ForeignChange, "its root v%d (sha256 %.16s) is not the one published here: it is of another repository", l.Version, l.Hash)
		}
		shared = true
	}
	last := im.Chain[len(im.Chain)-1].Version
	if !shared {
		return meta.Refuse(meta.ForeignChange, "none of its roots is published here")
	}
	if err := im.refusePublished(p); err != nil {
		return err
	}
	if last != now {
		return meta.Refuse(meta.PublishedMoved, "it was made on root v%d; root v%d is published now", last, now)
	}
	if t := im.Published.Targets; t != nil && t.Version() != p.VersionOf(meta.RoleTargets) {
		return meta.Refuse(meta.PublishedMoved, "it was made on targets v%d; targets v%d is published now", t.Version(), p.VersionOf(meta.RoleTargets))
	}
	return nil
}

// refusePublished: a change whose root or targets is in force was taken to its end.
func (im *Verified) refusePublished(p *repo.Published) error {
	env, err := meta.ParseEnvelope(p.File(meta.RoleRoot))
	if err == nil {
		err = im.refuseDone(meta.RoleRoot, env)
	}
	if err != nil {
		return err
	}
	if env, err = meta.ParseEnvelope(p.File(meta.RoleTargets)); err != nil {
		return nil // no targets yet, or damaged ones, of which others tell
	}
	return im.refuseDone(meta.RoleTargets, env)
}

func (im *Verified) refuseDone(role string, published *meta.Envelope) error {
	if d := im.Change.Doc(role); d != nil && bytes.Equal(d.Payload(), published.Signed()) {
		return meta.Refuse(meta.NoChange, "its %s v%d is published already", role, d.Version())
	}
	return nil
}

// targetsSize and publishedSize add up what a limit is for.
func (x Bundle) targetsSize() int { return len(x.Targets) + sizes(x.Cold) }

func (x Bundle) publishedSize() int { return len(x.Published) + sizes(x.PublishedCold) }

func sizes(files map[string]json.RawMessage) int {
	n := 0
	for _, f := range files {
		n += len(f)
	}
	return n
}
