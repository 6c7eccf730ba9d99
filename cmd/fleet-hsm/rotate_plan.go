package main

import (
	"context"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// previewResult is rotate --plan with --json.
type previewResult struct {
	Schema  int    `json:"schema"`
	Command string `json:"command"`
	workflow.Preview
}

// runPlan shows what a rotation would do.
func (a *app) runPlan(ctx context.Context, role string, o rotateOptions) error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	if o.Make.Generate, _, err = o.make.made(); err != nil {
		return err
	}
	p, err := w.PreviewRotation(ctx, role, o.Rotation)
	if err != nil {
		return err
	}
	return a.print(previewResult{1, "rotate --plan", p}, func(out *prompt.Writer) { showPreview(out, p) })
}

func showPreview(out *prompt.Writer, p workflow.Preview) {
	for _, s := range p.Intents {
		out.Printf("intent    %s\n", prompt.Quote(s))
	}
	for _, r := range p.Roles {
		out.Printf("\n%s v%d -> v%d  (%s)\n", strings.ToUpper(r.Role), r.From, r.To, r.Why)
		for _, t := range r.Signers {
			out.Printf("  %d of %d  (%s)\n", t.Need, len(t.Keys), t.By)
			for _, k := range t.Keys {
				if k.New {
					out.Printf("    %s  new in this role\n", keyLabel(k))
				} else {
					out.Printf("    %s\n", keyLabel(k))
				}
			}
		}
	}
	out.Printf("\nIf one is absent:\n")
	for _, a := range p.Absent {
		if len(a.Breaks) == 0 {
			out.Printf("  %s: the others are enough\n", keyLabel(a.PreviewKey))
			continue
		}
		out.Printf("  %s: nothing is published, %s cannot be signed\n", keyLabel(a.PreviewKey), strings.Join(a.Breaks, ", "))
	}
	out.Printf("\nThis is a plan: nothing was written and no key was made.\n")
}

func keyLabel(k workflow.PreviewKey) prompt.Text {
	if k.KeyID.IsZero() || strings.Contains(k.Name, k.KeyID.Short()) {
		return prompt.Sprintf("%s", k.Name)
	}
	return prompt.Sprintf("%s  %s", k.KeyID.Short(), k.Name)
}
