package repo

import (
	"fmt"
	"os"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// InitOptions say what a new repository is like.
type InitOptions struct {
	// Keys gives the keys of each role; Thresholds how many must sign (1 if absent).
	Keys       map[string][]meta.Key
	Thresholds map[string]int
	Consistent bool
	Expiries   meta.Expiries
}

// CheckInit refuses a folder that holds a repository, or what is left of one,
// already. Errors: ErrExists, *RefusedError{UnfinishedState}.
func (r *Repo) CheckInit() error {
	entries, err := os.ReadDir(r.path("repository"))
	if err != nil && !notExist(err) {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			return fmt.Errorf("%w: %q", ErrExists, r.web(e.Name()))
		}
	}
	staged, err := r.HasStaged()
	if err != nil {
		return err
	}
	if staged {
		return meta.Refuse(meta.UnfinishedState, "a new repository waits for signatures already: a staged change in %q", r.pending())
	}
	return nil
}

// Init makes the change that publishes root v1 and an empty targets v1. Errors:
// *RefusedError, ErrKey.
func (r *Repo) Init(opts InitOptions) (*Change, error) {
	now := r.now()
	c := &Change{Created: meta.UTCSecond(now), Fresh: true, stamp: r.stamp()}
	root := meta.NewRoot(opts.Consistent)
	for _, role := range meta.Roles() {
		threshold := opts.Thresholds[role]
		if threshold == 0 {
			threshold = 1
		}
		if err := root.SetKeys(role, opts.Keys[role], threshold); err != nil {
			return nil, err
		}
	}
	first := number{1}
	if err := c.setRoot(root, first, now.Add(opts.Expiries.Of(meta.RoleRoot))); err != nil {
		return nil, err
	}
	if err := c.setTargets(meta.NewTargets(), first, now.Add(opts.Expiries.Of(meta.RoleTargets))); err != nil {
		return nil, err
	}
	c.Intend("init: a new repository")
	return c, nil
}
