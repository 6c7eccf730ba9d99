package repo

import (
	"errors"
	"slices"
)

// Rehashed is how many bytes commits have read for their hash alone.
func (r *Repo) Rehashed() int64 { return r.rehashed }

// Decide is a commit that is cut off when its journal is written.
func (r *Repo) Decide(rel *Release) error {
	b, err := r.prepare(rel)
	if err == nil {
		_, err = b.decide(rel)
	}
	return err
}

// CutOff commits as far as a process gets that is killed after the last rename.
func (r *Repo) CutOff(rel *Release) error {
	b, err := r.prepare(rel)
	if err != nil {
		return err
	}
	dirs := newDirSet()
	if rel.c == nil {
		return b.moveOne(dirs)
	}
	j, err := b.decide(rel)
	for _, m := range j.Renames {
		err = errors.Join(err, r.move(m, dirs))
	}
	return err
}

// ParsedCold lists the cold roles whose entries somebody has asked for.
func (p *Published) ParsedCold() []string {
	return slices.DeleteFunc(p.Cold(), func(name string) bool { return p.cold[name].targets == nil })
}
