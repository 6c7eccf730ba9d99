package workflow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// RequestError says which request is the trouble.
type RequestError struct {
	File string
	Err  error
}

func (e *RequestError) Error() string { return e.Err.Error() }

func (e *RequestError) Unwrap() error { return e.Err }

func ofRequest(file string, err error) error {
	if err == nil {
		return nil
	}
	return &RequestError{file, err}
}

// WriteRequest writes what is staged into a file, for those who must still sign it.
func (w *Session) WriteRequest(out string) (*ceremony.Request, error) {
	if w.Staged == nil {
		return nil, repo.ErrNothingStaged
	}
	hints, err := w.hints()
	if err != nil {
		return nil, err
	}
	q, err := ceremony.New(w.Repo, w.Published, w.Staged, hints)
	if err != nil {
		return nil, err
	}
	return q, w.writeRequest(q, out)
}

// writeRequest never replaces a file that is something else, and keeps the signatures
// of one that is the same request.
func (w *Session) writeRequest(q *ceremony.Request, out string) error {
	old, err := ReadRequest(out, w.Repo.Now())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data, err := q.Bytes()
		if err != nil {
			return err
		}
		return atomicfile.Create(out, data, 0o644)
	case err != nil, !q.Same(old):
		return &meta.RefusedError{Kind: meta.PathTaken, Text: fmt.Sprintf("%q exists and is not this request", out)}
	}
	if _, err := q.Change.Merge(old.Change); err != nil {
		return err
	}
	data, err := q.Bytes()
	if err != nil {
		return err
	}
	return atomicfile.Write(out, data, 0o644)
}

// hints says where this machine believes each key of the change to be.
func (w *Session) hints() (map[tuf.KeyID]ceremony.Hint, error) {
	hints := map[tuf.KeyID]ceremony.Hint{}
	for _, role := range meta.Roles() {
		keys := w.Staged.Root().Keys(role)
		if d := w.Staged.Doc(role); d != nil {
			keys = d.Keys()
		}
		for _, k := range keys {
			h := ceremony.Hint{Name: w.Config.Keys[k.ID].Name}
			if u, ok := w.Config.Locations[k.ID]; ok {
				h.URI = locator.Of(u.Told())
			}
			att, err := os.ReadFile(w.Keys.AttestationFile(k.ID))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			h.Attestation = string(att)
			if h != (ceremony.Hint{}) {
				hints[k.ID] = h
			}
		}
	}
	return hints, nil
}

// hintsOf is what a request says of where keys are, as the keychain takes it.
func (w *Session) hintsOf(said map[tuf.KeyID]ceremony.Hint) map[tuf.KeyID]keyring.Hint {
	out := map[tuf.KeyID]keyring.Hint{}
	for id, h := range said {
		var parts []string
		if h.Name != "" {
			parts = append(parts, w.opts.Talk.Name(h.Name))
		}
		if !h.URI.IsZero() {
			parts = append(parts, w.opts.Talk.Path(h.URI.String()))
		}
		out[id] = keyring.Hint{URI: h.URI, Said: strings.Join(parts, ", "), Attestation: h.Attestation}
	}
	return out
}

// ReadRequest reads a request and checks it from its first root downwards.
func ReadRequest(file string, now time.Time) (*ceremony.Request, error) {
	data, err := config.ReadBounded(file, ceremony.MaxRequest)
	if err != nil {
		return nil, misuse.Of(fmt.Errorf("%q: %w", file, err))
	}
	q, err := ceremony.Parse(file, data, now)
	return q, ofRequest(file, err)
}

// CheckFree refuses, before anything is made, a file that is there already.
func CheckFree(out string) error {
	if out == "" {
		return nil
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return &meta.RefusedError{Kind: meta.PathTaken, Text: fmt.Sprintf("%q exists already", out)}
	}
	return nil
}

// ofFile names the request that an error is about.
func ofFile(file string, err error) error { return fmt.Errorf("request %q: %w", file, err) }

// OpenRequest reads a request for review or sign: it is checked against the root that this
// machine trusts, and pinned tells whether there is one.
func (w *Session) OpenRequest(file, rootFile string) (q *ceremony.Request, pinned bool, err error) {
	if q, err = ReadRequest(file, time.Now()); err != nil {
		return nil, false, err
	}
	pinned, err = w.Accept(file, q, rootFile)
	return q, pinned, err
}

// Accept takes what a request says of where keys are for what it is, and checks it against
// the root that this machine trusts, if there is one.
func (w *Session) Accept(file string, q *ceremony.Request, rootFile string) (pinned bool, err error) {
	for _, s := range q.Change.Warnings {
		w.warn("%s", s)
	}
	w.Keys.Hints = w.hintsOf(q.Hints)
	if rootFile == "" {
		rootFile = w.Config.Beside(w.Config.TrustedRoot)
	}
	if rootFile == "" {
		return false, nil
	}
	data, err := config.ReadBounded(rootFile, meta.MaxRootSize)
	if err != nil {
		return false, misuse.Of(fmt.Errorf("trusted root %q: %w", rootFile, err))
	}
	return true, ofRequest(file, q.Trust(rootFile, data))
}

// RefusePublished: what a request asks for is published in the repository that a person named.
// Any other repository, or none, has nothing to say of it.
func (w *Session) RefusePublished(file string, q *ceremony.Request) error {
	if w.Load() != nil || w.Published == nil {
		return nil
	}
	var refused *meta.RefusedError
	err := bundle.CheckOrigin(w.Repo, w.Published, q.Verified)
	if errors.As(err, &refused) && refused.Kind == meta.NoChange {
		return ofRequest(file, ofFile(file, err))
	}
	return nil
}

// SenderSays stands before what a request says of itself.
const SenderSays = "the sender says: "

// ReviewRequest describes a request for the person who is asked; what its sender says is
// marked as such.
func (w *Session) ReviewRequest(q *ceremony.Request) (diff.Review, error) {
	review, err := q.Review(w.Config.Expiries, time.Now())
	if err != nil {
		return diff.Review{}, err
	}
	review.Intents, review.Staged = nil, nil
	for _, s := range q.Change.Intents {
		review.Intents = append(review.Intents, SenderSays+s)
	}
	w.WarnUnattested(&review, q.Change, w.Keys.Hints)
	return review, nil
}

// SigningOf is the signing of a request: each signature is written back into its file.
func (w *Session) SigningOf(file string, q *ceremony.Request, pinned bool) (*Signing, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	s := &Signing{
		Session: w, Change: q.Change, File: file,
		Review: func() (diff.Review, error) { return w.ReviewRequest(q) },
		Keep: func() error {
			data, err := q.Bytes()
			if err != nil {
				return err
			}
			return atomicfile.Write(file, data, st.Mode().Perm())
		},
	}
	if !pinned && len(q.Chain) > 0 {
		s.Trust = "Is this the root of the repository that you know?"
	}
	if w.opts.DryRun {
		return s, nil
	}
	return s, w.opts.Log.Start(w.opts.Command)
}
