package repo

import (
	"fmt"
	"maps"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// relist brings into what the next snapshot lists, where what is lost was given up, the
// roles that targets.json delegates to and those that a snapshot from here has listed: an
// older snapshot lists them not at all, or an older file, and agents that have stored a newer
// one accept none without them. What lies here counts if it is no older than what was
// listed, and signed by the keys that targets.json names, if any; what does not lie here has
// to be found.
func (r *Repo) relist(p *Published) {
	d, err := p.Targets.Delegated()
	if err != nil {
		return // the judge says what it makes of it
	}
	needed := map[string]int64{}
	maps.Copy(needed, p.everListed)
	for _, role := range d.Roles {
		needed[role.Name] = max(needed[role.Name], 1)
	}
	p.otherMeta = maps.Clone(p.otherMeta)
	for name, least := range needed {
		file := name + ".json"
		listed := p.otherMeta[file]
		if listed != nil {
			least = max(least, listed.Version)
		}
		newest, err := r.newestCold(p, name)
		if err == nil {
			err = p.checkRelisted(name, newest.Version, least)
		}
		switch {
		case err != nil:
			p.cold[name] = &coldFile{name: name, err: err, ever: true}
			delete(p.otherMeta, file)
		case listed == nil || listed.Version < newest.Version:
			p.otherMeta[file] = meta.Describe(newest)
			p.Warnings = append(p.Warnings, fmt.Sprintf("snapshot v%d does not list %q version %d; the next one does", p.Snapshot.Version(), file, newest.Version))
		}
	}
}

// checkRelisted refuses an older file than was listed, and one that nobody can have come to:
// where targets.json names no keys for the role, nobody's signature says that a higher version
// is not somebody's who wrote into the folder.
func (p *Published) checkRelisted(name string, version, least int64) error {
	if version < least || version > least && !p.delegates(name) {
		return &meta.FileError{File: "repository/" + name + ".json", Reason: fmt.Sprintf("is version %d, and version %d was published", version, least)}
	}
	return tuf.CheckVersion(name, least, version)
}

// newestCold gives the newest file of a cold role that lies here and that the keys which
// targets.json names for it have signed. Errors: *FileError.
func (r *Repo) newestCold(p *Published, name string) (meta.File, error) {
	lists, err := r.numbered()
	if err != nil {
		return meta.File{}, err
	}
	files := []string{name + ".json"}
	if list := lists[name]; len(list) > 0 && p.Root.ConsistentSnapshot() {
		files = append(files, versioned(list[len(list)-1], name+".json"))
	}
	var newest meta.File
	var wrong error
	for _, file := range files {
		found, err := r.signedCold(p, name, file)
		if err != nil && wrong == nil {
			wrong = err
		}
		if err == nil && found.Version > newest.Version {
			newest = found
		}
	}
	if newest.Version > 0 {
		wrong = nil
	}
	return newest, wrong
}

func (r *Repo) signedCold(p *Published, name, file string) (meta.File, error) {
	shown := "repository/" + file
	data, err := r.readMetadata(file, tuf.MaxTargets)
	if notExist(err) {
		return meta.File{}, &meta.FileError{File: shown, Reason: "missing, and clients have seen it listed"}
	}
	if err != nil {
		return meta.File{}, err
	}
	_, t, err := p.parseCold(name, shown, data)
	if err != nil {
		return meta.File{}, err
	}
	return meta.File{Version: t.Version(), Data: data}, nil
}
