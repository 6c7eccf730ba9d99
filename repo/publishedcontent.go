package repo

import (
	"os"
	"path/filepath"
	"strings"
)

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
