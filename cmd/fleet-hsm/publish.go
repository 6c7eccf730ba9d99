package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// work is what one command does to a repository: it holds the lock, what is
// published and the staged change.
type work struct {
	a    *app
	r    *repo.Repo
	lock *repo.Lock
	keys *keyring.Ring
	// ui is who is asked: see letOthersIn.
	ui  asker
	cfg *config.Config
	// p is nil in init.
	p      *repo.Published
	staged *repo.Change // nil if nothing is staged
	// change is what this command stages and publishes, once it is made.
	change *repo.Change
	// waiting: it is in pending/ only because a person is asked.
	waiting bool
	// joined: what this command signs was staged in part before it came.
	joined bool
	// earlier is what was staged before it, nil for nothing.
	earlier []byte
	// lost says why the command may write no more: what became of the lock, or of what
	// it protects, while a person was asked.
	lost error
	// make opens or makes new keys.
	make *keyring.Maker
}

// begin takes the lock and says what an earlier, interrupted command left.
func (a *app) begin(ctx context.Context, name string) (*work, error) {
	if err := a.checkPath(); err != nil {
		return nil, err
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	keys, err := a.keychain()
	if err != nil {
		return nil, err
	}
	w := &work{a: a, r: a.repo(), keys: keys, cfg: cfg, ui: a.person(), make: keys.NewMaker()}
	if name != "init" {
		// A wrong --path is told before a lock is left in it.
		if err := w.r.CheckThere(); err != nil {
			return nil, err
		}
	}
	if w.lock, err = w.r.Lock(ctx, name, a.lockTimeoutValue()); err != nil {
		return nil, err
	}
	a.log.command = name
	if name != "timestamp" {
		// What cron does every day is logged only if something is signed.
		if err := a.startLog(name); err != nil {
			w.lock.Unlock()
			return nil, err
		}
	}
	for _, s := range w.lock.Recovered {
		a.note("%s", s)
	}
	left, err := w.r.FleetctlLeftovers()
	if err != nil {
		w.end()
		return nil, err
	}
	a.nameLeftovers(left)
	return w, nil
}

func (a *app) nameLeftovers(left []string) {
	if len(left) == 0 {
		return
	}
	shown := left
	more := ""
	if len(left) > 3 {
		shown, more = left[:3], fmt.Sprintf(" and %d more", len(left)-3)
	}
	if repo.StagedRoot(left) {
		a.warn(`staged/ holds a root.json (%s%s): of the tuf tool, while people sign it, or left by fleetctl when it failed; nothing of it is used or published here. "tuf commit" publishes it; "fleet-hsm discard" moves staged/ aside`, strings.Join(shown, ", "), more)
		return
	}
	a.warn(`fleetctl left %s%s behind when it failed; nothing of it is used or published, "fleet-hsm discard" clears it`, strings.Join(shown, ", "), more)
}

// open is begin for commands that change what is published: it also loads and
// verifies everything, and the staged change.
func (a *app) open(ctx context.Context, name string) (*work, error) {
	w, err := a.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := w.loadToChange(); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

// loadToChange is load, and refuses a folder that went back before anything is copied,
// made or asked.
func (w *work) loadToChange() error {
	if err := w.load(); err != nil || w.p == nil {
		return err
	}
	return w.r.CheckStanding(w.p)
}

func (w *work) load() error {
	p, err := w.r.Load()
	if errors.Is(err, repo.ErrNoRepository) {
		// init may be waiting for its second key.
		staged, serr := w.r.Staged(nil)
		if serr != nil {
			return err
		}
		w.staged = staged
		return nil
	}
	if err != nil {
		return err
	}
	w.p = p
	for _, s := range p.Warnings {
		w.a.warn("%s", s)
	}
	w.staged, err = w.r.Staged(p)
	if errors.Is(err, repo.ErrNothingStaged) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range w.staged.Warnings {
		w.a.warn("%s", s)
	}
	return nil
}

// needPublished refuses while init still waits for signatures.
func (w *work) needPublished() error {
	if w.p == nil {
		return &repo.RefusedError{Kind: repo.ChangeWaits, Text: "the new repository is staged and not published yet"}
	}
	return nil
}

// end clears content that no change uses (a copy that failed, a disk that is full)
// and lets others in.
func (w *work) end() {
	if w.lock == nil {
		return
	}
	if err := w.r.DropContent(); err != nil {
		w.a.warn("clearing pending/content: %v", err)
	}
	w.lock.Unlock()
	w.lock = nil
}

func (w *work) stageOptions(allowShorter bool) repo.StageOptions {
	return repo.StageOptions{Expiries: w.cfg.Expiries, AllowShorter: allowShorter}
}

// publishOptions are what commands that publish differ in.
type publishOptions struct {
	allowShorter     bool
	withoutTimestamp bool
	// noSign: root and targets are not signed here (commit).
	noSign bool
}

// published is what a command that published says with --json.
type published struct {
	Schema   int              `json:"schema"`
	Command  string           `json:"command"`
	Versions map[string]int64 `json:"published"`
	Notes    []string         `json:"notes,omitempty"`
}

// publish has a change signed and commits it. If signatures are missing, or a key
// cannot be used, the change stays staged and is named. Ctrl-C before anybody's
// device has signed leaves nothing.
func (w *work) publish(ctx context.Context, c *repo.Change, opts publishOptions) (map[string]int64, error) {
	w.change = c
	w.letOthersIn()
	rel, err := w.signAll(ctx, c, opts, func() error { return w.keep(c) })
	w.keepOthersOut()
	if err == nil {
		err = w.lost
	}
	if err != nil {
		return nil, w.leave(ctx, c, err)
	}
	if err := w.r.Commit(rel); as[*repo.InterruptedError](err) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("nothing was published: %w", err)
	}
	w.make.TellNews()
	w.nameVersions(rel.Versions())
	w.a.logCommit(rel)
	return rel.Versions(), nil
}

func (w *work) signAll(ctx context.Context, c *repo.Change, opts publishOptions, keep func() error) (*repo.Release, error) {
	relOpts := repo.ReleaseOptions{
		Expiries: w.cfg.Expiries, AllowShorter: opts.allowShorter, WithoutTimestamp: opts.withoutTimestamp,
	}
	if err := w.consent(c, opts, relOpts).obtain(ctx); err != nil {
		return nil, err
	}
	if err := w.signDocs(ctx, c, opts, keep); err != nil {
		return nil, err
	}
	for {
		p := w.p
		rel, err := w.r.Release(p, c, relOpts)
		if err == nil {
			err = w.signRelease(ctx, rel)
		}
		if err != nil || w.p == p {
			return rel, err
		}
		w.a.note("another timestamp was published meanwhile; building over it")
	}
}

// consent: a command's own change needs a yes at a terminal if it is one of root, and
// --yes gives it. What was staged before it came needs one always.
func (w *work) consent(c *repo.Change, opts publishOptions, relOpts repo.ReleaseOptions) *consent {
	own := &consent{
		a: w.a, ui: w.ui, keys: w.keys, change: c, needs: w.signingKeys(c),
		card: func() (repo.Card, error) {
			card, err := w.r.Card(w.p, c, w.cfg.Expiries)
			if err == nil {
				w.a.warnUnattested(&card, c, nil)
			}
			return card, err
		},
		refusals: []func() error{func() error { return w.r.CheckRelease(w.p, c, relOpts) }},
		ask:      w.joined || c.Doc(repo.RoleRoot) != nil && !w.a.yes,
	}
	if !opts.noSign {
		own.docs = c.Docs()
	}
	return own
}

// signDocs has root and targets signed with every key within reach: where root is
// short of a key, targets need not be signed on another day.
func (w *work) signDocs(ctx context.Context, c *repo.Change, opts publishOptions, keep func() error) error {
	var short error
	for _, d := range c.Docs() {
		var err error
		if opts.noSign {
			err = w.keys.Short(d)
		} else {
			err = w.keys.Sign(ctx, w.ui, d, keep)
		}
		if err != nil && !as[*keyring.ShortError](err) {
			return err
		}
		if short == nil {
			short = err
		}
	}
	return short
}

// signingKeys gives the keys that may have to sign, by role.
func (w *work) signingKeys(c *repo.Change) map[string][]repo.Key {
	keys := map[string][]repo.Key{}
	for _, role := range repo.Roles() {
		keys[role] = c.Root().Keys(role)
	}
	if d := c.Doc(repo.RoleRoot); d != nil {
		keys[repo.RoleRoot] = d.Missing()
	} else {
		delete(keys, repo.RoleRoot)
	}
	if d := c.Doc(repo.RoleTargets); d != nil {
		keys[repo.RoleTargets] = d.Missing()
	} else {
		delete(keys, repo.RoleTargets)
	}
	return keys
}

func (w *work) signRelease(ctx context.Context, rel *repo.Release) error {
	for {
		d, err := rel.Next()
		if err != nil || d == nil {
			return err
		}
		if err := w.keys.Sign(ctx, w.ui, d, nil); err != nil {
			return err
		}
	}
}

// leave decides what becomes of a change that could not be published, and says so.
func (w *work) leave(ctx context.Context, c *repo.Change, cause error) error {
	if w.lost != nil {
		return w.leaveLost(cause)
	}
	pointless := ctx.Err() != nil || errors.Is(cause, prompt.ErrNotConfirmed) || errors.Is(cause, repo.ErrRefused) || as[*repo.FaultyError](cause)
	if (c.Fresh || w.waiting) && (pointless || judge(cause).code == exitUsage) {
		if err := errors.Join(w.withdraw(c), w.r.DropContent()); err != nil {
			return errors.Join(cause, err)
		}
		return cause
	}
	if err := w.r.Save(c); err != nil {
		return errors.Join(cause, err)
	}
	for _, d := range c.Docs() {
		for _, t := range d.Tallies() {
			w.a.note("staged: %s v%d, %d of %d signatures", d.Role(), d.Version(), t.Have, t.Need)
		}
	}
	next := "sign"
	if c.Met() {
		next = "commit"
	}
	w.a.note(`the change stays staged: "fleet-hsm review" shows it, "fleet-hsm %s" goes on with it, "fleet-hsm discard" drops it`, next)
	w.make.TellNews()
	return &stagedError{err: cause, next: next}
}

// leaveLost leaves pending/ to whoever changed it.
func (w *work) leaveLost(cause error) error {
	if as[*repo.LockedError](w.lost) {
		w.a.note(`the change stays staged: "fleet-hsm review" shows it, "fleet-hsm sign" goes on with it, "fleet-hsm discard" drops it`)
	}
	if errors.Is(cause, w.lost) {
		return cause
	}
	return errors.Join(cause, w.lost)
}

func (w *work) nameVersions(v map[string]int64) {
	var parts []string
	for _, role := range repo.Roles() {
		if n, ok := v[role]; ok {
			parts = append(parts, fmt.Sprintf("%s v%d", role, n))
		}
	}
	w.a.note("published: %s", strings.Join(parts, ", "))
}

func (a *app) published(command string, versions map[string]int64, notes ...string) published {
	return published{Schema: 1, Command: command, Versions: versions, Notes: slices.Concat(a.notes, notes)}
}

// report prints the result of a command that published.
func (a *app) report(command string, versions map[string]int64, notes ...string) error {
	return a.print(a.published(command, versions, notes...), func(*prompt.Writer) {})
}
