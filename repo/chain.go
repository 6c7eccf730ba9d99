package repo

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Agents follow N.root.json one by one from the root that they were packaged with. One
// that is missing, or that the one before it did not sign, stops all older agents there
// for ever. The chain begins with the oldest N.root.json that lies here: a repository
// may have been begun from a later root, and no package holds an older one then.

// numbered lists, for each role, the versions of which an N.<role>.json lies here,
// ascending.
func (r *Repo) numbered() (map[string][]int64, error) {
	d, err := os.Open(r.path("repository"))
	if notExist(err) {
		return map[string][]int64{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out := map[string][]int64{}
	for _, name := range names {
		number, role, ok := meta.SplitNumbered(name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > tuf.MaxVersion {
			continue // sixteen digits may be more than any version
		}
		out[role] = append(out[role], n)
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out, nil
}

// Numbered lists the versions of a role of which an N.<role>.json lies here, ascending.
func (r *Repo) Numbered(role string) ([]int64, error) {
	lists, err := r.numbered()
	return lists[role], err
}

// rootLink is one root of the chain as it lies on disk.
type rootLink struct {
	root *meta.Root
	env  *meta.Envelope
	data []byte
}

func (l rootLink) mark() mark { return markOf(l.root.Version(), l.env.Signed()) }

// readRootLink reads a root of the web root that is signed by itself.
func (r *Repo) readRootLink(name string) (rootLink, error) {
	data, err := r.readMetadata(name, meta.MaxRootSize)
	if err != nil {
		return rootLink{}, err
	}
	root, env, err := meta.OpenRoot("repository/"+name, data)
	return rootLink{root, env, data}, err
}

// numberedRoot reads N.root.json, which must be version N.
func (r *Repo) numberedRoot(n int64) (rootLink, error) {
	name := versioned(n, "root.json")
	l, err := r.readRootLink(name)
	if err == nil && l.root.Version() != n {
		err = &meta.FileError{File: "repository/" + name, Reason: fmt.Sprintf("is version %d", l.root.Version())}
	}
	return l, err
}

// NumberedRoot reads N.root.json, which is signed by itself.
func (r *Repo) NumberedRoot(n int64) (*meta.Root, error) {
	l, err := r.numberedRoot(n)
	return l.root, err
}

func (r *Repo) oldestRoot() (mark, error) {
	lists, err := r.numbered()
	if err != nil {
		return mark{}, err
	}
	name := "root.json"
	if list := lists[meta.RoleRoot]; len(list) > 0 {
		name = versioned(list[0], name)
	}
	l, err := r.readRootLink(name)
	if err != nil {
		return mark{}, err
	}
	return l.mark(), nil
}

// CheckChain reads every N.root.json from the oldest here to the published root and
// checks that each is signed by itself and by the one before it, and that root.json is
// the last of them. Errors: *RefusedError{RootChain}.
func (r *Repo) CheckChain(p *Published) error {
	lists, err := r.numbered()
	if err != nil {
		return err
	}
	last := p.Root.Version()
	first := last
	if list := lists[meta.RoleRoot]; len(list) > 0 {
		first = min(first, list[0])
	}
	var before rootLink
	for n := first; n <= last; n++ {
		l, err := r.numberedRoot(n)
		if err == nil && n > first {
			err = meta.Follows("repository/"+versioned(n, "root.json"), before.root, l.root, l.env)
		}
		if err != nil {
			return brokenChain(n, err)
		}
		before = l
	}
	if before.mark() != markOf(last, p.rootEnv.Signed()) {
		return brokenChain(last, errors.New("it does not match root.json"))
	}
	return nil
}

func brokenChain(n int64, err error) error {
	if notExist(err) {
		return meta.Refuse(meta.RootChain, "%q is missing: agents with an older root stop before it, and no later root reaches them", "repository/"+versioned(n, "root.json"))
	}
	return meta.Refuse(meta.RootChain, "agents with an older root stop before %q: %v", "repository/"+versioned(n, "root.json"), err)
}
