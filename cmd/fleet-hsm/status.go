package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/status"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type statusOptions struct {
	failWithin within
	markdown   bool
	url, html  string
	remote     remoteFlags
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show roles, expiry, keys, what is staged and what to do next",
		Long: `status shows, on one screen, each role's version, expiry, threshold and keys, what is
staged, and the next step as a command. With --url it shows what a server gives out,
checked from the root that --root trusts. It warns of an expiry 60 days before for
root, 30 for targets and snapshot, 3 for timestamp; "warn:" in the configuration says
otherwise.`,
		Example: `  fleet-hsm status
  fleet-hsm status --fail-within 30d --fail-within timestamp=3d,root=400d # exit 6 if so
  fleet-hsm status --html status.html
  fleet-hsm status --url https://updates.example.com --root root.json --markdown`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runStatus(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.Var(&o.failWithin, "fail-within", "exit 6 if a role expires within this time; root=400d is for one role (may be given more than once)")
	f.BoolVar(&o.markdown, "markdown", false, "a table for documents")
	f.StringVar(&o.html, "html", "", "write a page for browsers to this file too")
	f.StringVar(&o.url, "url", "", "look at the repository that is served there, not at --path")
	o.remote.add(f)
	return cmd
}

// expiresSoon is the answer to --fail-within. Exit 6.
type expiresSoon struct {
	roles []string
}

func (e *expiresSoon) Error() string { return strings.Join(e.roles, "; ") }

// statusResult is status with --json.
type statusResult struct {
	Schema int `json:"schema"`
	*status.Report
	Next []step `json:"next"`
}

// step is something to do next: a command as it can be typed, and why.
type step struct {
	Command string `json:"command"`
	Why     string `json:"why"`
}

// stepsOf turns what is left to do into commands.
func stepsOf(list []status.Step) []step {
	steps := []step{}
	for _, s := range list {
		steps = append(steps, step{commandOf(s.Do), s.Why})
	}
	return steps
}

func commandOf(do status.Todo) string {
	switch do {
	case status.Mend:
		return "fleet-hsm doctor --mend"
	case status.RenewTargets:
		return "fleet-hsm rotate targets --renew"
	case status.RenewRoot:
		return "fleet-hsm rotate root --renew"
	case status.FinishCommit:
		return "fleet-hsm timestamp"
	}
	return "fleet-hsm " + string(do) // sign, commit, timestamp, discard
}

func (a *app) runStatus(ctx context.Context, o statusOptions) error {
	if o.url != "" {
		return a.runStatusRemote(ctx, o)
	}
	if err := o.remote.needsURL(); err != nil {
		return err
	}
	w, err := a.look()
	if err != nil {
		return err
	}
	if w.Published == nil {
		return a.statusOfInit(w)
	}
	r, err := status.Of(w, a.checkClock())
	if err != nil {
		return err
	}
	if o.html != "" {
		in, err := a.pageOf(w, r)
		if err == nil {
			err = a.writePage(o.html, in)
		}
		if err != nil {
			return err
		}
	}
	if err := a.printStatus(r, o); err != nil {
		return err
	}
	return checkWithin(r, o.failWithin)
}

// runStatusRemote is status of what agents see.
func (a *app) runStatusRemote(ctx context.Context, o statusOptions) error {
	rr, err := a.lookAt(ctx, o.url, o.remote)
	if err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	r := status.OfRemote(rr, cfg, time.Now())
	if o.html != "" {
		in, err := a.pageOfRemote(rr, r)
		if err == nil {
			err = a.writePage(o.html, in)
		}
		if err != nil {
			return err
		}
	}
	if err := a.printStatus(r, o); err != nil {
		return err
	}
	expired, other := rr.Faults()
	if other > 0 || expired > 0 && !o.failWithin.given {
		return &remote.UnverifiedError{Report: rr.Report}
	}
	return checkWithin(r, o.failWithin)
}

func (a *app) printStatus(r *status.Report, o statusOptions) error {
	if r.Roles == nil {
		r.Roles = []status.Role{}
	}
	res := &statusResult{Schema: 1, Report: r, Next: stepsOf(r.Next)}
	if o.markdown {
		return a.print(res, res.markdown)
	}
	return a.print(res, res.text)
}

func (a *app) statusOfInit(w *workflow.Session) error {
	r, err := status.OfInit(w)
	if err != nil {
		return err
	}
	res := &statusResult{Schema: 1, Report: r, Next: stepsOf(r.Next)}
	return a.print(res, func(out *prompt.Writer) {
		out.Printf("a new repository is staged and not published yet\n")
		res.textStaged(out)
	})
}

func proofWords(proof string) string {
	switch proof {
	case "attested-by-others":
		return "attested by a root that is not Yubico's"
	case "attestation-invalid":
		return `ATTESTATION IS WRONG ("fleet-hsm key attest" says why)`
	}
	return proof
}

func checkWithin(r *status.Report, w within) error {
	soonFor := func(role string, expires time.Time) bool {
		d, asked := w.of(role)
		return asked && time.Until(expires) < d
	}
	var soon []string
	for _, rs := range r.Roles {
		if soonFor(rs.Role, rs.Expires) {
			soon = append(soon, fmt.Sprintf("%s v%d expires %s", rs.Role, rs.Version, rs.Expires.UTC().Format(time.RFC3339)))
		}
	}
	if s := r.Archive; s != nil && s.Role != "" && soonFor(s.Role, s.Expires) {
		soon = append(soon, fmt.Sprintf("%s expires %s", s.Role, s.Expires.Format(time.RFC3339)))
	}
	if len(soon) == 0 {
		return nil
	}
	return &expiresSoon{roles: soon}
}
