package workflow

import (
	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Attached is what one request brought: signatures that were not here yet.
type Attached struct {
	File    string
	Request *ceremony.Request
	Merged  map[string]meta.Merged // by role
}

// Attach takes the signatures of requests into the staged change and saves it, or takes
// nothing from any. each is told of every file in turn.
func (w *Session) Attach(files []string, each func(Attached)) error {
	requests, err := w.readForAttach(files)
	if err != nil {
		return err
	}
	if w.Staged == nil {
		return repo.ErrNothingStaged
	}
	for i, q := range requests {
		merged, err := w.Staged.Merge(q.Change)
		if err != nil {
			return ofRequest(files[i], ofFile(files[i], err))
		}
		each(Attached{files[i], q, merged})
	}
	if w.opts.DryRun {
		return nil
	}
	return w.Repo.Save(w.Staged)
}

// readForAttach checks every file before anything is taken from one of them. What a
// request was made on is looked at first: it explains best what has happened since.
func (w *Session) readForAttach(files []string) ([]*ceremony.Request, error) {
	var requests []*ceremony.Request
	for _, file := range files {
		q, err := ReadRequest(file, w.Repo.Now())
		if err != nil {
			return nil, err
		}
		if err := bundle.CheckOrigin(w.Repo, w.Published, q.Verified); err != nil {
			return nil, ofRequest(file, ofFile(file, err))
		}
		requests = append(requests, q)
	}
	return requests, nil
}
