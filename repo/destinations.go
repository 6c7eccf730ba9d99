package repo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// checkDestinations refuses renames that the file system would refuse: once the journal is
// written, a commit that cannot be finished would block every later command.
func (r *Repo) checkDestinations(renames []rename) error {
	seen := map[string]bool{}
	for _, m := range renames {
		to := r.path(filepath.FromSlash(m.To))
		if err := r.unlinked(m.To); err != nil {
			return err
		}
		if st, err := os.Lstat(to); err == nil && st.IsDir() {
			return meta.Refuse(meta.PathTaken, "%q is a folder, and a file is to be published there", to)
		}
		if err := r.checkFolder(filepath.Dir(to), seen); err != nil {
			return err
		}
		if err := r.checkFree(m); err != nil {
			return err
		}
	}
	return nil
}

// unlinked refuses a name below the web root of which an element is a symbolic link:
// what is written there would lie elsewhere, and what is read there would be anybody's.
func (r *Repo) unlinked(to string) error {
	err := webroot.Check(r.path("repository"), strings.TrimPrefix(to, "repository/"))
	var link *webroot.LinkError
	if errors.As(err, &link) {
		return meta.Refuse(meta.PathTaken, "%v; put a folder or file of its own there", link)
	}
	return err
}

// checkFolder looks at a folder, or at the nearest one above it that exists: files
// must be able to be moved into it from pending/.
func (r *Repo) checkFolder(dir string, seen map[string]bool) error {
	if seen[dir] {
		return nil
	}
	seen[dir] = true
	st, err := os.Stat(dir)
	if _, lerr := os.Lstat(dir); err != nil && lerr == nil {
		return meta.Refuse(meta.PathTaken, "%q is a symbolic link that leads nowhere, and a folder has to be there", dir)
	}
	if err != nil && filepath.Dir(dir) != dir {
		return r.checkFolder(filepath.Dir(dir), seen)
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return meta.Refuse(meta.PathTaken, "%q is a file, and a folder has to be there", dir)
	}
	if err := r.sameDevice(dir); err != nil {
		return err
	}
	return osfile.CheckWritable(dir)
}

// makeWebFolder makes a folder that a web server can read, whatever the umask says;
// files there are 0644 for the same reason. One that is there stays as it is.
func makeWebFolder(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		if os.IsExist(err) {
			return nil
		}
		return err
	}
	return os.Chmod(dir, 0o755)
}

func (r *Repo) sameDevice(dir string) error {
	web, err := osfile.Identify(dir)
	if err != nil {
		return err
	}
	pending, err := osfile.Identify(r.pending())
	if err != nil {
		return err
	}
	if web.Device != pending.Device || !osfile.SameMount(dir, r.pending()) {
		return meta.Refuse(meta.OtherDevice, "%q and %q are on two file systems, so nothing could be published in one step", dir, r.pending())
	}
	return nil
}
