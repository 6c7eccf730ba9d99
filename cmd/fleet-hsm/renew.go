package main

import (
	"context"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// runRenew is rotate ROLE --renew: the same keys and content, a new expiry.
func (a *app) runRenew(ctx context.Context, role string, o rotateOptions) error {
	if len(o.set)+len(o.add)+len(o.remove) > 0 || o.threshold != 0 || o.generate || o.algorithm != "" {
		return usagef("--renew keeps the keys; no other change goes with it")
	}
	if role == repo.RoleSnapshot {
		return usagef(`snapshot is signed again with targets: "fleet-hsm rotate targets --renew"`)
	}
	if role == repo.RoleTimestamp {
		return usagef(`"fleet-hsm timestamp" signs a new timestamp`)
	}
	w, err := a.open(ctx, "rotate")
	if err != nil {
		return err
	}
	defer w.End()
	if err := w.NeedPublished(); err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	if role != repo.RoleRoot {
		if err := w.Published.Expired(w.Repo.Now(), repo.RoleRoot); err != nil {
			return err
		}
	}
	if err := w.Join(o.reviewed, o.stageOnly); err != nil {
		return err
	}
	c, err := w.Repo.Renew(w.Published, w.Staged, role, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	return w.finishStaged(ctx, "rotate", c, o.stageOnly, o.allowShorter)
}

// finishStaged publishes a change, or with stageOnly leaves it unsigned, and reports.
func (w *work) finishStaged(ctx context.Context, command string, c *repo.Change, stageOnly, allowShorter bool) error {
	if stageOnly {
		if err := w.StageOnly(c); err != nil {
			return err
		}
		return w.a.report(command, nil)
	}
	versions, err := w.Publish(ctx, c, workflow.PublishOptions{AllowShorter: allowShorter})
	if err != nil {
		return err
	}
	return w.a.report(command, versions)
}
