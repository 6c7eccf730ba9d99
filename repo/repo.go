package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Repo is a repository's folder. Its methods that write need the lock (see
// [Repo.Lock]); the others never write.
type Repo struct {
	dir string
	now func() time.Time
	// noted: see Options.Noted.
	noted func() ([]Noted, error)
	// hashed are files whose bytes this process has hashed; rehashed counts bytes that
	// were read for that alone. See checkContent.
	hashed   map[fileState]string
	rehashed int64
	// dryRun: see Options.DryRun.
	dryRun bool
	// command and person are who stages what is staged here; see [Staging].
	command, person string
	// judge is Options.Judge; judged and drafts are what it said. See checkSound.
	judge  Judge
	judged verdict
	drafts map[string][]Fault
}

// Options change what Open assumes.
type Options struct {
	// Now is the clock; nil for the machine's.
	Now func() time.Time
	// Noted gives versions that were noted elsewhere, which are never signed again; nil
	// for none. It is called when a version is about to be given.
	Noted func() ([]Noted, error)
	// Judge has a say before anybody signs a change; nil for none.
	Judge Judge
	// DryRun: content is hashed and not copied. Nothing else of a change is written before
	// it is saved or committed.
	DryRun bool
	// Person is the login name that a staged change is marked with.
	Person string
}

// Open names the repository in dir. It reads nothing yet.
func Open(dir string, opts Options) *Repo {
	now := opts.Now
	if now == nil {
		now = time.Now
	}
	return &Repo{dir: dir, now: now, noted: opts.Noted, dryRun: opts.DryRun, person: opts.Person, judge: opts.Judge, drafts: map[string][]Fault{}}
}

// Dir is the folder that holds repository/, keys/ and pending/.
func (r *Repo) Dir() string { return r.dir }

// Now is the repository's clock.
func (r *Repo) Now() time.Time { return r.now() }

// CheckThere refuses a folder that is no repository and in which no change waits.
// Errors: ErrNoRepository.
func (r *Repo) CheckThere() error {
	for _, sign := range []string{r.web("root.json"), r.pending()} {
		if there, err := exists(sign); err != nil || there {
			return err
		}
	}
	lists, err := r.numbered()
	if err == nil && len(lists[meta.RoleRoot]) > 0 {
		return nil // its root.json was lost; see loadRoot
	}
	return fmt.Errorf("%w: %q has no repository/root.json", ErrNoRepository, r.dir)
}

func (r *Repo) path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

// web gives a path below the web root.
func (r *Repo) web(name string) string { return r.path("repository", filepath.FromSlash(name)) }

func (r *Repo) pending(elem ...string) string { return r.path(append([]string{"pending"}, elem...)...) }

func readLimited(path, shown string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &meta.FileError{File: shown, Reason: "not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var data bytes.Buffer
	data.Grow(int(min(st.Size(), limit)) + bytes.MinRead) // copied as it grows otherwise
	if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit {
		return nil, &meta.FileError{File: shown, Reason: fmt.Sprintf("larger than %d bytes, which clients refuse", limit)}
	}
	return data.Bytes(), nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
