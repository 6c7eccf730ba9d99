package workflow

import (
	"context"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// CommitStaged publishes a change whose signatures are all there.
func (w *Session) CommitStaged(ctx context.Context, o PublishOptions) (map[string]int64, error) {
	rotated := w.rotatedRoles()
	o.SignNothing = true
	versions, err := w.Publish(ctx, w.Staged, o)
	if err != nil {
		return nil, err
	}
	for _, role := range rotated {
		w.Retire(role)
	}
	return versions, nil
}

// Finish publishes a change, or with stageOnly leaves it unsigned.
func (w *Session) Finish(ctx context.Context, c *repo.Change, stageOnly, allowShorter bool) (map[string]int64, error) {
	if stageOnly {
		return nil, w.StageOnly(c)
	}
	return w.Publish(ctx, c, PublishOptions{AllowShorter: allowShorter})
}

// FinishTargets is Finish for a change of targets: key files are opened side by side.
func (w *Session) FinishTargets(ctx context.Context, c *repo.Change, stageOnly, allowShorter bool) (map[string]int64, error) {
	if !stageOnly {
		w.PrefetchTargets(ctx)
	}
	return w.Finish(ctx, c, stageOnly, allowShorter)
}

// PrefetchTargets opens the key files that a change of targets needs.
func (w *Session) PrefetchTargets(ctx context.Context) {
	w.Keys.Prefetch(ctx, w.UI, w.rolesOnlyInFiles(meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp)...)
}

// rolesOnlyInFiles leaves out roles for which a flag or the configuration names
// another place: their files, if any, need not be opened.
func (w *Session) rolesOnlyInFiles(roles ...string) []string {
	return slices.DeleteFunc(roles, func(role string) bool {
		if len(w.Keys.URIs[role]) > 0 {
			return true
		}
		return slices.ContainsFunc(w.Published.Root.Keys(role), func(k meta.Key) bool {
			_, elsewhere := w.Config.Locations[k.ID]
			return elsewhere
		})
	})
}
