package repo

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Two roots of one number, both signed by the root before them, are two repositories from
// there on: an agent that has one follows the other nowhere. Neither can be given up here,
// since nothing in a folder tells which of them agents have. So it is said which they are,
// who signed them and where they lie; the way on is a folder that never knew the other.

// rootTwice refuses what is built on a root when another of its number was published from
// here.
func (r *Repo) rootTwice(here rootLink, known mark) error {
	n := here.root.Version()
	return meta.Refuse(meta.RootTwice, "root v%d was signed twice: %q, which is here, is %s; published from here was %s",
		n, "repository/"+versioned(n, "root.json"), described(here), r.whichRoot(known))
}

// described names a root by its hash and its signers.
func described(l rootLink) string {
	var ids []string
	for _, k := range l.env.Counted(l.root.Keys(meta.RoleRoot)) {
		ids = append(ids, k.ShortID())
	}
	return fmt.Sprintf("%.16s, signed by %s", l.mark().SHA256, strings.Join(ids, ", "))
}

// whichRoot names a root of which the history knows the hash, and says where it lies, if it
// does so anywhere in this folder.
func (r *Repo) whichRoot(known mark) string {
	for _, file := range r.spareRoots() {
		data, err := readLimited(file, file, meta.MaxRootSize)
		if err != nil {
			continue
		}
		root, env, err := meta.OpenRoot(file, data)
		if err != nil || markOf(root.Version(), env.Signed()) != known {
			continue
		}
		shown, err := filepath.Rel(r.dir, file)
		if err != nil {
			shown = file
		}
		return fmt.Sprintf("%s, and it lies in %q", described(rootLink{root, env, data}), filepath.ToSlash(shown))
	}
	return fmt.Sprintf("%.16s, which is not here any more", known.SHA256)
}
