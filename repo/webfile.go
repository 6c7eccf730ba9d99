package repo

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// webFile is a file of the web root as it is to appear.
type webFile struct {
	name string
	data []byte
}

func versioned(version int64, name string) string { return fmt.Sprintf("%d.%s", version, name) }

// coldToWrite gives the cold roles that a release writes, by file name: the new ones, and
// with all the published ones too, as where the layout changes.
func (rel *Release) coldToWrite(all bool) (map[string]meta.File, error) {
	files := map[string]meta.File{}
	if all && rel.p != nil {
		for _, name := range rel.p.Listed() {
			f := rel.p.cold[name]
			if f.err != nil {
				return nil, f.err
			}
			files[name+".json"] = meta.File{Version: rel.p.otherMeta[name+".json"].Version, Data: f.data}
		}
	}
	maps.Copy(files, rel.coldFiles)
	return files, nil
}

// numberedFiles names files as clients ask for them with consistent snapshots.
func numberedFiles(list map[string]meta.File) []webFile {
	var files []webFile
	for _, f := range plainFiles(list) {
		files = append(files, webFile{versioned(list[f.name].Version, f.name), f.data})
	}
	return files
}

func plainFiles(list map[string]meta.File) []webFile {
	var files []webFile
	for _, name := range slices.Sorted(maps.Keys(list)) {
		files = append(files, webFile{name, list[name].Data})
	}
	return files
}

// rootFiles gives root.json and N.root.json: with consistent snapshots the numbered
// one last, next to the timestamp, since it is the one that clients act on.
func (rel *Release) rootFiles(consistent bool) ([]webFile, error) {
	if rel.c == nil || rel.c.rootDoc == nil {
		return nil, nil
	}
	data, err := rel.c.rootDoc.Bytes()
	if err != nil {
		return nil, err
	}
	if len(data) > meta.MaxRootSize {
		return nil, meta.Refuse(meta.TooLarge, "root.json would be %d bytes; clients refuse more than %d", len(data), meta.MaxRootSize)
	}
	if _, _, err := meta.OpenRoot("staged root", data); err != nil {
		return nil, err
	}
	plain, numbered := webFile{"root.json", data}, webFile{versioned(rel.root.Version(), "root.json"), data}
	if consistent {
		return []webFile{plain, numbered}, nil
	}
	return []webFile{numbered, plain}, nil
}
