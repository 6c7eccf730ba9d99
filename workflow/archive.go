package workflow

import (
	"context"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// ColdKeys opens the keys that the cold roles are to have.
func (w *Session) ColdKeys(ctx context.Context, uris []string) ([]meta.Key, error) {
	for _, s := range uris {
		if err := w.Keys.Add(meta.RoleCold, s); err != nil {
			return nil, err
		}
	}
	return w.resolveAll(ctx, meta.RoleCold, uris, keyring.MakeOptions{})
}

// StandInColdKeys are as many keys that nobody keeps, for a preview.
func (w *Session) StandInColdKeys(uris []string) ([]meta.Key, error) {
	var keys []meta.Key
	for _, s := range uris {
		if _, err := w.Keys.Parse(s); err != nil {
			return nil, err
		}
		k, err := standIn(map[tuf.KeyID]string{}, s)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// usualKeep is how many versions a warning would keep where nothing says it.
const usualKeep = 10

// Heavy says what archiving would save of targets, "" for nothing.
func (w *Session) Heavy(t *meta.Targets) string {
	return t.Heavy(w.Config.Keeps(0, usualKeep), w.Published.TargetsSize())
}

// WarnHeavy does so after a release, if the configuration asks for it.
func (w *Session) WarnHeavy(c *repo.Change) {
	if w.Config.Retention == nil || c == nil || c.Targets() == nil {
		return
	}
	if s := w.Heavy(c.Targets()); s != "" {
		w.warn("%s", s)
	}
}

// Effort is what an archiving takes, and what agents gain by it.
type Effort struct {
	// Signatures are those of the change, a role each, with those of snapshot and timestamp.
	Signatures []RoleSignatures `json:"signatures"`
	// AgentBefore and AgentAfter are what an agent fetches of targets after a release.
	AgentBefore meta.Weight `json:"agent_before"`
	AgentAfter  meta.Weight `json:"agent_after"`
}

// RoleSignatures says how many signatures a role needs.
type RoleSignatures struct {
	Role string `json:"role"`
	Need int    `json:"need"`
}

// EffortOf says what a change takes and what it gains.
func (w *Session) EffortOf(c *repo.Change) (e Effort, err error) {
	if e.AgentBefore, err = w.Published.Weight(); err != nil {
		return e, err
	}
	if e.AgentAfter, err = c.Weight(); err != nil {
		return e, err
	}
	for _, d := range c.Docs() {
		for _, t := range d.Tallies() {
			e.Signatures = append(e.Signatures, RoleSignatures{Role: d.Role(), Need: t.Need})
		}
	}
	for _, role := range []string{meta.RoleSnapshot, meta.RoleTimestamp} {
		e.Signatures = append(e.Signatures, RoleSignatures{Role: role, Need: c.Root().Threshold(role)})
	}
	return e, nil
}
