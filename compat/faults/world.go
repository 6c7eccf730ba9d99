package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// world is what clients get: target path to SHA-512 (hex).
type world map[string]string

// with gives the world after an add.
func (w world) with(a addition) world {
	out := maps.Clone(w)
	for _, ch := range append([]string{a.version}, a.tags...) {
		out["orbit/linux/"+ch+"/orbit"] = a.sum
	}
	return out
}

// without gives the world after a version is gone.
func (w world) without(version string) world {
	out := maps.Clone(w)
	delete(out, "orbit/linux/"+version+"/orbit")
	return out
}

// addition is an add of a file as orbit for linux.
type addition struct {
	file, sum, version string
	tags               []string
}

func (a addition) args() []string {
	args := []string{"add", "--target", a.file, "--name", "orbit", "--platform", "linux", "--version", a.version}
	for _, t := range a.tags {
		args = append(args, "-t", t)
	}
	return args
}

// worlds are those that may be there.
type worlds []world

func (ws worlds) has(w world) bool {
	return slices.ContainsFunc(ws, func(o world) bool { return maps.Equal(o, w) })
}

// sums gives the hashes that a path may have.
func (ws worlds) sums(path string) []string {
	var out []string
	for _, w := range ws {
		if s, ok := w[path]; ok && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (ws worlds) after(f func(world) world) worlds {
	var out worlds
	for _, w := range ws {
		if n := f(w); !out.has(n) {
			out = append(out, n)
		}
	}
	return out
}

// versions are those of the unversioned metadata files in a web root.
type versions map[string]int64

var roles = []string{"root", "targets", "snapshot", "timestamp"}

func readVersions(web string) (versions, error) {
	v := versions{}
	for _, role := range roles {
		data, err := os.ReadFile(filepath.Join(web, role+".json"))
		if err != nil {
			return nil, err
		}
		var env struct {
			Signed struct {
				Version int64 `json:"version"`
			} `json:"signed"`
		}
		if err := json.Unmarshal(data, &env); err != nil {
			return nil, fmt.Errorf("%s.json: %w", role, err)
		}
		v[role] = env.Signed.Version
	}
	return v, nil
}

// below names the first role whose version went back.
func (v versions) below(old versions) string {
	for _, role := range roles {
		if v[role] < old[role] {
			return fmt.Sprintf("%s went back from v%d to v%d", role, old[role], v[role])
		}
	}
	return ""
}

// published is what stood in a web root before a fault.
type published struct {
	versions versions
	sums     map[string]string
}

func readPublished(web string) (published, error) {
	v, err := readVersions(web)
	if err != nil {
		return published{}, err
	}
	sums, err := hashTree(web)
	return published{v, sums}, err
}

// lost compares a web root with what stood there before. Versioned and hash-named
// files, and strangers, never change; a flat target is whole, in one of the worlds;
// no version goes back.
func (p published) lost(web string, may worlds) (string, error) {
	now, err := hashTree(web)
	if err != nil {
		return "", err
	}
	for path, sum := range p.sums {
		if isPlain(path) {
			continue
		}
		got, there := now[path]
		switch target, flat := flatTarget(path); {
		case !there:
			return fmt.Sprintf("%q is gone", path), nil
		case got == sum:
		case flat && slices.Contains(may.sums(target), got):
		default:
			return fmt.Sprintf("%q has other bytes than those published", path), nil
		}
	}
	v, err := readVersions(web)
	if err != nil {
		return err.Error(), nil
	}
	return v.below(p.versions), nil
}

// isPlain: the unversioned metadata files, which every change replaces.
func isPlain(path string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return path == role+".json" }) ||
		strings.HasPrefix(path, "archive-")
}

// flatTarget gives the target path of a file below targets/ that is not hash-named.
func flatTarget(path string) (string, bool) {
	target, ok := strings.CutPrefix(path, "targets/")
	head, _, cut := strings.Cut(filepath.Base(path), ".")
	return target, ok && !(cut && len(head) == 128)
}
