package workflow

import (
	"errors"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Rehearsal is how a dry run ends: where signing was about to begin, whichever command it
// is. Until then the command did what it always does, but for what a dry run has no need
// of: the lock, copies of content, new keys. Nothing was written and no secret asked for.
type Rehearsal struct {
	// Review is nil for a timestamp alone.
	Review *diff.Review `json:"review,omitempty"`
	// Signs are the roles that would be signed.
	Signs []RehearsedRole `json:"signs"`
	// Writes are the files that would be written, below the repository's folder, in that
	// order; none if the change would only wait for more signatures.
	Writes []diff.WouldWrite `json:"writes"`
}

// RehearsedRole is a role that would be signed, and by whom it could be.
type RehearsedRole struct {
	Role string   `json:"role"`
	Need int      `json:"need"`
	Keys []string `json:"keys"`
}

// rehearsed carries a Rehearsal to the command line as errors go.
type rehearsed struct{ what *Rehearsal }

func (e *rehearsed) Error() string { return RehearsalText }

// RehearsalText says how a dry run ended.
const RehearsalText = "a dry run: nothing was signed, nothing was written"

// IsRehearsal reports whether a command ended so.
func IsRehearsal(err error) (*Rehearsal, bool) {
	var e *rehearsed
	if !errors.As(err, &e) {
		return nil, false
	}
	return e.what, true
}

// rehearse ends a dry run before a change is signed, or staged.
func (w *Session) rehearse(c *repo.Change, o PublishOptions) error {
	opts := repo.ReleaseOptions{Expiries: w.Config.Expiries, AllowShorter: o.AllowShorter, WithoutTimestamp: o.WithoutTimestamp}
	if err := w.Repo.CheckRelease(w.Published, c, opts); err != nil {
		return err
	}
	review, err := w.Review(c)
	if err != nil {
		return err
	}
	writes, roles, err := diff.Writes(w.Repo, w.Published, c, opts)
	if err != nil {
		return err
	}
	e := &Rehearsal{Review: &review, Writes: writes, Signs: w.rehearsedDocs(c.Docs())}
	for _, role := range roles {
		e.Signs = append(e.Signs, w.rehearsedRole(role, c.Root().Keys(role), c.Root().Threshold(role)))
	}
	return &rehearsed{e}
}

// rehearseSigning ends a dry run of sign: signatures, and nothing published.
func (s *Signing) rehearse(docs []*meta.Doc) error {
	review, err := s.Review()
	if err != nil {
		return err
	}
	return &rehearsed{&Rehearsal{Review: &review, Signs: s.Session.rehearsedDocs(docs), Writes: []diff.WouldWrite{}}}
}

// rehearseTimestamp ends a dry run of timestamp.
func (w *Session) rehearseTimestamp(rel *repo.Release) error {
	e := &Rehearsal{Writes: []diff.WouldWrite{{Path: "repository/timestamp.json"}}}
	for _, role := range rel.Roles() {
		e.Signs = append(e.Signs, w.rehearsedRole(role, rel.Root().Keys(role), rel.Root().Threshold(role)))
	}
	return &rehearsed{e}
}

func (w *Session) rehearsedDocs(docs []*meta.Doc) []RehearsedRole {
	out := []RehearsedRole{}
	for _, d := range docs {
		if d.Met() {
			continue
		}
		for _, t := range d.Tallies() {
			r := w.rehearsedRole(d.Role(), t.Missing, t.Need-t.Have)
			same := func(o RehearsedRole) bool {
				return o.Role == r.Role && o.Need == r.Need && slices.Equal(o.Keys, r.Keys)
			}
			if r.Need > 0 && !slices.ContainsFunc(out, same) {
				out = append(out, r)
			}
		}
	}
	return out
}

func (w *Session) rehearsedRole(role string, keys []meta.Key, need int) RehearsedRole {
	r := RehearsedRole{Role: role, Need: need, Keys: []string{}}
	for _, k := range keys {
		r.Keys = append(r.Keys, w.Keys.Name(role, k))
	}
	return r
}
