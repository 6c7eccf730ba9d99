package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// A release reads every cold role, since the hash in the snapshot has to fit, and looks for
// two things in them: when they expire, and whether they hold a path that it publishes.
// Neither takes more than a glance at the ten thousand entries of a role: see expires and
// mayName.

// coldFile is the file of a role besides targets that the snapshot lists.
type coldFile struct {
	name    string
	data    []byte
	hashed  bool  // the snapshot says which bytes they are, not only which version
	err     error // why there is no file that fits
	ever    bool  // a snapshot from here has listed it; see relist
	env     *meta.Envelope
	targets *meta.Targets
}

// loadCold reads the files of the roles besides targets that the snapshot lists. They are
// the files that it names, or not to be had; they are parsed when somebody asks.
func (r *Repo) loadCold(p *Published) {
	p.cold = map[string]*coldFile{}
	if p.givenUp {
		r.relist(p)
	}
	for _, file := range slices.Sorted(maps.Keys(p.otherMeta)) {
		if file == meta.Below(meta.RoleSnapshot) {
			continue
		}
		f := r.readCold(p, file)
		p.cold[f.name] = f
		if f.err != nil {
			p.Warnings = append(p.Warnings, f.err.Error())
		}
	}
}

func (r *Repo) readCold(p *Published, file string) *coldFile {
	f := &coldFile{name: strings.TrimSuffix(file, ".json")}
	if meta.CheckPath(file) != nil || strings.Contains(file, "/") || f.name == file {
		f.err = &meta.FileError{File: "repository/snapshot.json", Reason: fmt.Sprintf("names %q, which is no file of a role", file)}
		return f
	}
	m := meta.FileMeta(p.otherMeta[file])
	names := []string{file}
	if p.Root.ConsistentSnapshot() {
		names = append(names, versioned(m.Version, file)) // what clients read
	}
	for _, name := range names {
		data, err := r.readMetadata(name, tuf.MaxTargets)
		if err == nil {
			err = m.Fits(data)
		}
		if err == nil && len(m.Hashes) == 0 {
			err = hasVersion(data, m.Version)
		}
		if err == nil {
			f.data, f.hashed, f.err = data, len(m.Hashes) > 0, nil
			return f
		}
		if notExist(err) {
			err = errors.New("it is not there")
		}
		if f.err == nil {
			f.err = &meta.FileError{File: "repository/" + name, Reason: fmt.Sprintf("is not the file that snapshot.json (version %d) names", p.Snapshot.Version()), Err: err}
		}
	}
	return f
}

func hasVersion(data []byte, version int64) error {
	m, err := markIn(data)
	if err == nil && m.Version != version {
		err = fmt.Errorf("its version is %d, not %d", m.Version, version)
	}
	return err
}

// coldFits reports whether every role that the snapshot lists is here, and its hash says
// so: the snapshot then stands for all of them.
func (p *Published) coldFits() bool {
	for _, f := range p.cold {
		if f.err != nil || !f.hashed {
			return false
		}
	}
	return true
}

// ColdExpires gives the expiry of a cold role.
func (p *Published) ColdExpires(name string) (time.Time, error) {
	f := p.cold[name]
	if f != nil && f.err == nil && f.targets == nil && f.hashed {
		if at, ok := f.expires(); ok {
			return at, nil
		}
	}
	t, err := p.ColdTargets(name)
	if err != nil {
		return time.Time{}, err
	}
	return t.Expires(), nil
}

// expires reads the file as far as its expiry, which stands before the entries; ok is
// false if it is not there. The snapshot vouches for the bytes, by their hash.
func (f *coldFile) expires() (at time.Time, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(f.data))
	if !seek(dec, "signed") || !seek(dec, "expires") {
		return at, false
	}
	err := dec.Decode(&at)
	return at, err == nil
}

// seek goes into the object that comes next, as far as the value of a field.
func seek(dec *json.Decoder, field string) bool {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		if name == field {
			return true
		}
		if name == "targets" {
			return false // they are what is not to be read
		}
		var passed json.RawMessage
		if dec.Decode(&passed) != nil {
			return false
		}
	}
	return false
}

// MayName reports whether a cold role may hold an entry for a path, at a glance.
func (p *Published) MayName(role, path string) bool { return p.cold[role].mayName(path) }

// mayName reports whether the file may hold an entry for a path. Without a backslash there
// is no escape in it, and a path that it names stands there letter by letter.
func (f *coldFile) mayName(path string) bool {
	return f == nil || f.err != nil || f.targets != nil ||
		bytes.IndexByte(f.data, '\\') >= 0 || bytes.Contains(f.data, []byte(`"`+path+`"`))
}
