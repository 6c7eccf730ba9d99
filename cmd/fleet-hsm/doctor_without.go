package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/doctor"
	"github.com/fleet-hsm/fleet-hsm/prompt"
)

// withoutResult is doctor --without with --json.
type withoutResult struct {
	Schema int `json:"schema"`
	*doctor.WhatIf
	Commands []string `json:"commands"`
	// Tried is what --try found: "" if it was not asked for.
	Tried string `json:"tried,omitempty"`
}

func (a *app) runWithout(ctx context.Context, o doctorOptions) error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	what, err := doctor.Without(w, o.without)
	if err != nil {
		return err
	}
	res := withoutResult{Schema: 1, WhatIf: what, Commands: rotationOf(what)}
	if o.try && what.Recoverable && len(what.Rotate) > 0 {
		if err := a.tryRotation(ctx, what); err != nil {
			return fmt.Errorf("in a copy of the folder: %w", err)
		}
		res.Tried = "rotated in a copy of the folder, which verifies"
	}
	return a.print(res, res.text)
}

// rotationOf is the rotation of all roles that lost a key, as it can be typed: one change,
// which the last command signs.
func rotationOf(what *doctor.WhatIf) []string {
	out := []string{}
	if !what.Recoverable || len(what.Rotate) == 0 {
		return out
	}
	for i, role := range what.Rotate {
		args := []string{"fleet-hsm", "rotate", role}
		for _, id := range lostOf(what, role) {
			args = append(args, "--remove", id)
		}
		args = append(args, "--add", "NEW-URI")
		if i < len(what.Rotate)-1 {
			args = append(args, "--stage-only")
		}
		out = append(out, strings.Join(args, " "))
	}
	return append(out, "fleet-hsm publish")
}

// lostOf are the IDs of the lost keys of a role.
func lostOf(what *doctor.WhatIf, role string) []string {
	var ids []string
	for _, k := range what.Lost {
		if slices.Contains(k.Roles, role) {
			ids = append(ids, k.KeyID.String())
		}
	}
	return ids
}

func (r withoutResult) text(w *prompt.Writer) {
	for _, k := range r.Lost {
		w.Printf("without   %s, a key of %s\n", k.Name, strings.Join(k.Roles, ", "))
	}
	for _, role := range r.Roles {
		state := "can still be signed"
		if !role.Works {
			state = "NOBODY CAN SIGN IT; good until " + role.Expires.Format("2006-01-02") + " (" + config.DaysUntil(role.Expires) + ")"
		}
		w.Printf("%-9s %s: %s\n", role.Role, role, state)
		for _, name := range role.Left {
			w.Printf("          %s\n", name)
		}
	}
	switch {
	case !r.Recoverable:
		w.Printf("recovery  none from now on: root cannot name new keys, and agents follow no other root. They go on with what can still be signed; then new installers with a new root are all that is left\n")
	case len(r.Rotate) == 0:
		w.Printf("recovery  nothing has to be rotated\n")
	default:
		w.Printf("recovery  root can name new keys; %d more of its keys may be lost before it cannot\n", r.Spare)
		w.Printf("next      %d signature(s), of them %d with a device (PIN or touch):\n", r.Signatures, r.Touches)
		for _, c := range r.Commands {
			w.Printf("          %s\n", c)
		}
	}
	if r.Role != "" && r.Recoverable {
		w.Printf("until     %s, when %s expires: agents install nothing new from then until it is rotated\n", r.Until.Format("2006-01-02"), r.Role)
	}
	if r.Tried != "" {
		w.Printf("tried     %s\n", r.Tried)
	}
}

// tryRotation does it in a copy of the folder, with new keys in files, and looks at the
// copy as a client that trusts the oldest root. Nothing in the folder itself is touched.
func (a *app) tryRotation(ctx context.Context, what *doctor.WhatIf) (err error) {
	dir, drop, err := doctor.CopyForTrial(a.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	for _, role := range what.Rotate {
		args := []string{"rotate", role, "--path", dir, "--yes", "--generate", "--add", "file:" + filepath.Join(dir, "try-"+role+".json")}
		for _, id := range lostOf(what, role) {
			args = append(args, "--remove", id)
		}
		if err := a.runInside(ctx, args); err != nil {
			return err
		}
	}
	return doctor.CheckTrial(ctx, dir)
}

// runInside runs another command of ours with the same settings; it logs to no transcript.
func (a *app) runInside(ctx context.Context, args []string) error {
	b := newApp(io.Discard, io.Discard)
	b.now, b.kinds = a.now, a.kinds
	defer b.close()
	if a.pinSource != "" {
		args = append(args, "--pin-source", a.pinSource)
	}
	if a.configFile != "" {
		args = append(args, "--config", a.configFile)
	}
	if a.noInput {
		args = append(args, "--no-input")
	}
	cmd := b.command()
	cmd.SetArgs(args)
	return cmd.ExecuteContext(ctx)
}
