package repo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Item is one file to publish under a version and channels.
type Item struct {
	Name, Platform, Version string
	// Channels besides the version, which is always one.
	Channels []string
	// File is the source; its suffix counts for the target path.
	File string
}

// Paths gives the target paths of the item, the version's first, each once. Errors:
// *NameError.
func (it Item) Paths() ([]string, error) {
	if err := meta.CheckElement("version", it.Version); err != nil {
		return nil, err
	}
	var paths []string
	for _, channel := range append([]string{it.Version}, it.Channels...) {
		p, err := meta.TargetPath(it.Name, it.Platform, channel, filepath.Base(it.File))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// StageOptions say how targets and root are made.
type StageOptions struct {
	Expiries     meta.Expiries
	AllowShorter bool
	// Replace permits a version that is published with other bytes.
	Replace bool
}

// StagedItem is an item with its bytes.
type StagedItem struct {
	Item    Item
	Content Content
}

// CheckItems refuses two items that claim one path with different files. Errors:
// *NameError, *RefusedError{VersionTaken}.
func CheckItems(items []Item) error {
	claimed := map[string]string{}
	for _, it := range items {
		paths, err := it.Paths()
		if err != nil {
			return err
		}
		for _, p := range paths {
			if other, taken := claimed[p]; taken && other != it.File {
				return meta.Refuse(meta.VersionTaken, "target %q is claimed by %q and by %q", p, other, it.File)
			}
			claimed[p] = it.File
		}
	}
	return nil
}

// Add stages targets, on top of what is published or of the staged change. The
// contents must be staged or published (see [Repo.Stage], [Repo.PublishedContent]).
// Errors: *NameError, *RefusedError.
func (r *Repo) Add(p *Published, staged *Change, items []StagedItem, opts StageOptions) (*Change, error) {
	c := r.start(p, staged)
	t := c.currentTargets(p).Clone()
	spelled := meta.Spellings(t)
	for _, it := range items {
		paths, err := it.Item.Paths()
		if err != nil {
			return nil, err
		}
		if err := versionFree(p.Targets, paths[0], it, opts.Replace); err != nil {
			return nil, err
		}
		if paths, err = c.hotPaths(p, paths, it); err != nil {
			return nil, err
		}
		for _, path := range paths {
			if err := spelled.Take(path); err != nil {
				return nil, err
			}
			err := t.Set(meta.Target{Path: path, Length: it.Content.Length, SHA512: it.Content.SHA512, Version: it.Item.Version})
			if err != nil {
				return nil, err
			}
		}
		c.intend("add %s %s for %s to %s", it.Item.Name, it.Item.Version, it.Item.Platform, strings.Join(channelsOf(it.Item), ", "))
	}
	return c, r.restage(p, c, t, opts)
}

func channelsOf(it Item) []string {
	out := []string{it.Version}
	for _, ch := range it.Channels {
		if !slices.Contains(out, ch) {
			out = append(out, ch)
		}
	}
	return out
}

// restage numbers and dates changed targets, and the cold roles that are staged with them.
func (r *Repo) restage(p *Published, c *Change, t *meta.Targets, opts StageOptions) error {
	next, err := r.nextFor(p, meta.RoleTargets)
	if err != nil {
		return err
	}
	usual := meta.UTCSecond(r.now().Add(opts.Expiries.Of(meta.RoleTargets)))
	if err := c.restageCold(p, next, usual); err != nil {
		return err
	}
	expires, err := c.outlivedBy(p, usual)
	if err != nil {
		return err
	}
	if err := checkExpiry(meta.RoleTargets, p, expires, opts.AllowShorter); err != nil {
		return err
	}
	if err := c.setTargets(t, next, expires); err != nil {
		return err
	}
	c.refreshSets() // the keys of cold roles stand in targets
	return nil
}

func versionFree(published *meta.Targets, path string, it StagedItem, replace bool) error {
	old, there, err := published.Get(path)
	if err != nil {
		return err
	}
	if !there || replace || old.SHA512 == it.Content.SHA512 && old.Length == it.Content.Length {
		return nil
	}
	return meta.Refuse(meta.VersionTaken, "%s %s for %s is published with other bytes (sha512 %.16s, %d bytes; the new file has %.16s, %d bytes)",
		it.Item.Name, it.Item.Version, it.Item.Platform, old.SHA512, old.Length, it.Content.SHA512, it.Content.Length)
}

// PublishedContent tells whether file names something below repository/targets. If
// so it gives the bytes that metadata names there: by target path, whether or not a
// file of that name exists (with consistent snapshots it does not), or by the
// hash-named file. path is the target's. Errors: *ContentError if it is below but no
// metadata names it.
func (r *Repo) PublishedContent(p *Published, file string) (content Content, path string, below bool, err error) {
	rel, below := r.belowTargets(file)
	if !below {
		return Content{}, "", false, nil
	}
	t, there, err := p.Targets.Get(rel)
	if err != nil {
		return Content{}, "", true, err
	}
	if !there {
		t, there, err = p.Targets.ByHashedName(rel)
	}
	if err == nil && !there {
		t, there, err = p.archived(rel)
	}
	if err != nil {
		return Content{}, "", true, err
	}
	if !there {
		return Content{}, "", true, &ContentError{Path: file, Reason: "is below repository/targets, but published metadata does not name it"}
	}
	if _, err := r.publishedFile(p, t); err != nil {
		return Content{}, "", true, err
	}
	return Content{SHA512: t.SHA512, Length: t.Length}, t.Path, true, nil
}

func (r *Repo) belowTargets(file string) (string, bool) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	root, err := filepath.Abs(r.web("targets"))
	if err != nil {
		return "", false
	}
	if rel, ok := relBelow(root, abs); ok {
		return rel, true
	}
	// The same folder by another name: a symbolic link on the way.
	realRoot, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", false
	}
	return relBelow(realRoot, evalExisting(abs))
}

// evalExisting resolves the part of a path that exists.
func evalExisting(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	dir := filepath.Dir(p)
	if dir == p {
		return p
	}
	if _, err := os.Lstat(p); err == nil {
		return p
	}
	return filepath.Join(evalExisting(dir), filepath.Base(p))
}

func relBelow(root, p string) (string, bool) {
	rel, err := filepath.Rel(root, p)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// CheckNames refuses items whose paths are new and that not every web root can hold.
// staged may be nil. Errors: *NameError.
func (r *Repo) CheckNames(p *Published, staged *Change, items []Item) error {
	c := r.start(p, staged)
	spelled := meta.Spellings(c.currentTargets(p))
	for _, it := range items {
		paths, err := it.Paths()
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := spelled.Take(path); err != nil {
				return err
			}
		}
	}
	return nil
}
