package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Publish has a change signed and commits it. If signatures are missing, or a key
// cannot be used, the change stays staged and is named. Ctrl-C before anybody's
// device has signed leaves nothing.
func (w *Session) Publish(ctx context.Context, c *repo.Change, opts PublishOptions) (map[string]int64, error) {
	if w.opts.DryRun {
		return nil, w.rehearse(c, opts)
	}
	w.change = c
	w.UnlockWhileAsking()
	rel, err := w.signAll(ctx, c, opts, func() error { return w.keep(c) })
	w.StayLocked()
	if err == nil {
		err = w.LockLost
	}
	if err != nil {
		return nil, w.leave(ctx, c, err)
	}
	if err := w.Repo.Commit(rel); errors.As(err, new(*repo.InterruptedError)) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("nothing was published: %w", err)
	}
	w.Maker.TellNews()
	w.nameVersions(rel.Versions())
	w.opts.Log.Commit(rel)
	return rel.Versions(), nil
}

func (w *Session) signAll(ctx context.Context, c *repo.Change, opts PublishOptions, keep func() error) (*repo.Release, error) {
	relOpts := repo.ReleaseOptions{
		Expiries: w.Config.Expiries, AllowShorter: opts.AllowShorter, WithoutTimestamp: opts.WithoutTimestamp,
	}
	if err := w.consent(c, opts, relOpts).obtain(ctx); err != nil {
		return nil, err
	}
	if err := w.signDocs(ctx, c, opts, keep); err != nil {
		return nil, err
	}
	for {
		p := w.Published
		rel, err := w.Repo.Release(p, c, relOpts)
		if err == nil {
			err = w.SignRelease(ctx, rel)
		}
		if err != nil || w.Published == p {
			return rel, err
		}
		w.note("another timestamp was published meanwhile; building over it")
	}
}

// consent: a command's own change needs a yes at a terminal if it is one of root, and
// --yes gives it. What was staged before it came needs one always.
func (w *Session) consent(c *repo.Change, opts PublishOptions, relOpts repo.ReleaseOptions) *consent {
	own := &consent{
		s: w, ui: w.UI, change: c, needs: w.signingKeys(c),
		described: func() (diff.Review, error) { return w.Review(c) },
		refusals:  []func() error{func() error { return w.Repo.CheckRelease(w.Published, c, relOpts) }},
		ask:       w.joined || c.Doc(meta.RoleRoot) != nil && !w.opts.Yes,
	}
	if !opts.SignNothing {
		own.docs = c.Docs()
	}
	return own
}

// signDocs has root and targets signed with every key within reach: where root is
// short of a key, targets need not be signed on another day.
func (w *Session) signDocs(ctx context.Context, c *repo.Change, opts PublishOptions, keep func() error) error {
	var short error
	for _, d := range c.Docs() {
		var err error
		if opts.SignNothing {
			err = w.Keys.Short(d)
		} else {
			err = w.Keys.Sign(ctx, w.UI, d, keep)
		}
		if err != nil && !errors.As(err, new(*keyring.ShortError)) {
			return err
		}
		if short == nil {
			short = err
		}
	}
	return short
}

// signingKeys gives the keys that may have to sign, by role.
func (w *Session) signingKeys(c *repo.Change) map[string][]meta.Key {
	keys := map[string][]meta.Key{}
	for _, role := range []string{meta.RoleSnapshot, meta.RoleTimestamp} {
		keys[role] = c.Root().Keys(role)
	}
	for _, d := range c.Docs() {
		keys[d.Role()] = d.Missing()
	}
	for _, d := range c.Docs() {
		if meta.IsRole(d.Role()) {
			continue
		}
		for _, k := range d.Missing() {
			keys[d.KeyRole(k)] = append(keys[d.KeyRole(k)], k)
		}
	}
	return keys
}

// SignRelease signs snapshot and timestamp, as far as they are new.
func (w *Session) SignRelease(ctx context.Context, rel *repo.Release) error {
	if w.opts.DryRun {
		return w.rehearseTimestamp(rel)
	}
	for {
		d, err := rel.Next()
		if err != nil || d == nil {
			return err
		}
		if err := w.Keys.Sign(ctx, w.UI, d, nil); err != nil {
			return err
		}
	}
}

// leave decides what becomes of a change that could not be published, and says so.
func (w *Session) leave(ctx context.Context, c *repo.Change, cause error) error {
	if w.LockLost != nil {
		return w.leaveLost(cause)
	}
	pointless := ctx.Err() != nil || errors.Is(cause, signer.ErrNotConfirmed) || errors.Is(cause, meta.ErrRefused) || errors.As(cause, new(*repo.FaultyError))
	if (c.Fresh || w.provisional) && (pointless || wrongly(cause)) {
		if err := errors.Join(w.withdraw(c), w.Repo.DropContent()); err != nil {
			return errors.Join(cause, err)
		}
		return cause
	}
	if err := w.Repo.Save(c); err != nil {
		return errors.Join(cause, err)
	}
	for _, d := range c.Docs() {
		for _, t := range d.Tallies() {
			w.note("staged: %s v%d, %d of %d signatures", d.Role(), d.Version(), t.Have, t.Need)
		}
	}
	next := "sign"
	if c.Met() {
		next = "commit"
	}
	w.opts.Talk.StaysStaged(next)
	w.Maker.TellNews()
	return &StagedError{Err: cause, Next: next}
}

// leaveLost leaves pending/ to whoever changed it.
func (w *Session) leaveLost(cause error) error {
	if errors.As(w.LockLost, new(*repo.LockedError)) {
		w.opts.Talk.StaysStaged("sign")
	}
	if errors.Is(cause, w.LockLost) {
		return cause
	}
	return errors.Join(cause, w.LockLost)
}

func (w *Session) nameVersions(v map[string]int64) { w.note("published: %s", VersionsText(v)) }

// VersionsText names what was published, as people read it.
func VersionsText(v map[string]int64) string {
	var parts []string
	for _, role := range meta.Roles() {
		if n, ok := v[role]; ok {
			parts = append(parts, fmt.Sprintf("%s v%d", role, n))
		}
	}
	return strings.Join(parts, ", ")
}

// wrongly reports whether the command was given something wrong: the same change would be
// made again by the command that is put right, so there is nothing to go on with.
func wrongly(err error) bool {
	var given *misuse.Error
	var cfg *config.Error
	var uri *signer.URIError
	var foreign *owned.Error
	return errors.As(err, &given) || errors.As(err, &cfg) || errors.As(err, &uri) || errors.As(err, &foreign) ||
		errors.Is(err, meta.ErrName) || errors.Is(err, signer.ErrAmbiguous) ||
		errors.Is(err, signer.ErrConfig) && !errors.Is(err, signer.ErrNotStarted) ||
		errors.Is(err, signer.ErrNoTerminal) && !errors.Is(err, signer.ErrNoSecret)
}
