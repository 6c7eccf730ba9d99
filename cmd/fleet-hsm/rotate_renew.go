package main

import (
	"context"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// runRenew is rotate ROLE --renew: the same keys and content, a new expiry.
func (a *app) runRenew(ctx context.Context, role string, o rotateOptions) error {
	if len(o.Set)+len(o.Add)+len(o.Remove) > 0 || o.Threshold != 0 || o.make.generate != "" || o.make.algorithm != "" {
		return usagef("--renew keeps the keys; no other change goes with it")
	}
	if role == meta.RoleSnapshot {
		return usagef(`snapshot is signed again with targets: "fleet-hsm rotate targets --renew"`)
	}
	if role == meta.RoleTimestamp {
		return usagef(`"fleet-hsm timestamp" signs a new timestamp`)
	}
	w, err := a.openToChange(ctx, "rotate", o.changeFlags, func(w *workflow.Session) error {
		if role == meta.RoleRoot {
			return nil
		}
		return rootInForce(w)
	})
	if err != nil {
		return err
	}
	defer w.End()
	c, err := edit.Renew(w.Repo, w.Published, w.Staged, role, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	versions, err := w.Finish(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	return a.report("rotate", versions)
}
