package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type statusOptions struct {
	failWithin duration
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show roles, expiry, keys, what is staged and what to do next",
		Example: `  fleet-hsm status
  fleet-hsm status --fail-within 30d   # exit 6 if something expires within 30 days`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runStatus(cmd.Context(), o) },
	}
	cmd.Flags().Var(&o.failWithin, "fail-within", "exit 6 if a role expires within this time")
	return cmd
}

// statusResult is status with --json.
type statusResult struct {
	Schema      int          `json:"schema"`
	Consistent  bool         `json:"consistent_snapshot"`
	Roles       []roleStatus `json:"roles"`
	Staged      *repo.Card   `json:"staged,omitempty"`
	Interrupted bool         `json:"interrupted_commit"`
	Leftovers   []string     `json:"leftovers,omitempty"`
	Warnings    []string     `json:"warnings,omitempty"`
	Next        []string     `json:"next"`
}

type roleStatus struct {
	Role      string      `json:"role"`
	Version   int64       `json:"version"`
	Expires   time.Time   `json:"expires"`
	DaysLeft  int         `json:"days_left"`
	Threshold int         `json:"threshold"`
	Keys      []keyStatus `json:"keys"`
}

type keyStatus struct {
	KeyID    string `json:"keyid"`
	Type     string `json:"keytype"`
	Name     string `json:"name,omitempty"`
	Place    string `json:"place"`           // URI, or "unknown"
	Proof    string `json:"proof,omitempty"` // see proofOf
	Doubtful string `json:"doubtful,omitempty"`
}

// warnDefaults is how early status warns of an expiry.
func warnDefaults() map[string]time.Duration {
	day := 24 * time.Hour
	return map[string]time.Duration{repo.RoleRoot: 60 * day, repo.RoleTargets: 30 * day, repo.RoleSnapshot: 30 * day, repo.RoleTimestamp: 3 * day}
}

// expiresSoon is the answer to --fail-within. Exit 6.
type expiresSoon struct {
	roles []string
}

func (e *expiresSoon) Error() string { return strings.Join(e.roles, "; ") }

func (a *app) runStatus(ctx context.Context, o statusOptions) error {
	w, err := a.look()
	if err != nil {
		return err
	}
	if w.p == nil {
		return a.statusOfInit(w)
	}
	res, err := w.status(ctx)
	if err != nil {
		return err
	}
	if err := a.print(res, func(out io.Writer) { res.text(out) }); err != nil {
		return err
	}
	return res.check(time.Duration(o.failWithin))
}

func (a *app) statusOfInit(w *work) error {
	card, err := w.r.Card(nil, w.staged, w.cfg.expiries)
	if err != nil {
		return err
	}
	res := statusResult{Schema: 1, Staged: &card, Next: w.next(nil)}
	return a.print(res, func(out io.Writer) {
		fmt.Fprintln(out, "a new repository is staged and not published yet")
		res.textStaged(out)
	})
}

func (w *work) status(ctx context.Context) (*statusResult, error) {
	left, err := w.r.FleetctlLeftovers()
	if err != nil {
		return nil, err
	}
	interrupted, err := w.r.InterruptedCommit()
	if err != nil {
		return nil, err
	}
	res := &statusResult{Schema: 1, Consistent: w.p.Root.ConsistentSnapshot(), Leftovers: left, Interrupted: interrupted, Warnings: w.p.Warnings}
	now := w.r.Now()
	for _, role := range repo.Roles() {
		rs := roleStatus{Role: role, Version: w.p.VersionOf(role), Expires: w.p.ExpiresOf(role), Threshold: w.p.Root.Threshold(role)}
		rs.DaysLeft = int(rs.Expires.Sub(now).Hours() / 24)
		for _, k := range w.p.Root.Keys(role) {
			rs.Keys = append(rs.Keys, w.keyStatus(ctx, role, k))
		}
		res.Roles = append(res.Roles, rs)
	}
	res.Warnings = append(res.Warnings, w.expiryWarnings(now)...)
	if w.staged != nil {
		card, err := w.r.Card(w.p, w.staged, w.cfg.expiries)
		if err != nil {
			return nil, err
		}
		res.Staged = &card
	}
	res.Next = w.next(res)
	return res, nil
}

func (w *work) expiryWarnings(now time.Time) []string {
	var out []string
	for _, role := range repo.Roles() {
		early := warnDefaults()[role]
		if d, ok := w.cfg.warnings[role]; ok {
			early = d
		}
		switch left := w.p.ExpiresOf(role).Sub(now); {
		case left <= 0:
			out = append(out, fmt.Sprintf("%s v%d expired %s; agents refuse it", role, w.p.VersionOf(role), daysUntil(w.p.ExpiresOf(role))))
		case left < early:
			out = append(out, fmt.Sprintf("%s v%d expires in %s", role, w.p.VersionOf(role), daysUntil(w.p.ExpiresOf(role))))
		}
	}
	return out
}

func (w *work) keyStatus(_ context.Context, role string, k repo.Key) keyStatus {
	ks := keyStatus{KeyID: k.ID, Type: k.Type(), Place: "unknown", Name: w.cfg.Keys[k.ID].Name}
	if u, ok := w.cfg.places[k.ID]; ok {
		ks.Place = u.String()
	} else if w.keys.files.Exists(roleFile(role)) {
		// Which keys are in the file only its passphrase tells.
		ks.Place = roleFile(role).String() + " (or elsewhere)"
		if len(w.p.Root.Keys(role)) == 1 {
			ks.Place = roleFile(role).String()
		}
	}
	if att, ok := w.keys.backends["piv"].(signer.Attester); ok {
		// A root of the configuration that cannot be read is told by "key attest".
		extra, _ := w.a.attestationRoots("")
		ks.Proof = w.a.proofOf(att, k, extra)
	}
	return ks
}

// next names the next step as the exact command.
func (w *work) next(res *statusResult) []string {
	var out []string
	if res != nil && res.Interrupted {
		out = append(out, `a commit was interrupted; any command that writes finishes it, for example "fleet-hsm timestamp"`)
	}
	if w.staged != nil {
		for _, d := range w.staged.Docs() {
			if err := w.keys.short(d); err != nil {
				out = append(out, fmt.Sprintf(`%v; then "fleet-hsm sign"`, err))
			}
		}
		if w.staged.Met() {
			out = append(out, `fleet-hsm commit`)
		}
	}
	if res == nil {
		return out
	}
	for _, rs := range res.Roles {
		early := warnDefaults()[rs.Role]
		if d, ok := w.cfg.warnings[rs.Role]; ok {
			early = d
		}
		if time.Until(rs.Expires) >= early {
			continue
		}
		switch rs.Role {
		case repo.RoleRoot:
			out = append(out, "fleet-hsm rotate root")
		case repo.RoleTimestamp:
			out = append(out, "fleet-hsm timestamp")
		}
	}
	if w.p.AwaitsTimestamp() {
		out = append(out, "fleet-hsm timestamp")
	}
	return out
}

func (res *statusResult) text(w io.Writer) {
	for _, rs := range res.Roles {
		fmt.Fprintf(w, "%-9s v%-5d expires %s (%s)  threshold %d of %d\n", rs.Role, rs.Version,
			rs.Expires.UTC().Format("2006-01-02"), inDays(rs.Expires), rs.Threshold, len(rs.Keys))
		for _, k := range rs.Keys {
			name := ""
			if k.Name != "" {
				name = fmt.Sprintf(" %q", k.Name)
			}
			proof := ""
			if k.Proof != "" {
				proof = ", " + proofWords(k.Proof)
			}
			fmt.Fprintf(w, "          %.16s%s  %s%s\n", k.KeyID, name, k.Place, proof)
		}
	}
	layout := "flat"
	if res.Consistent {
		layout = "consistent snapshots"
	}
	fmt.Fprintf(w, "layout    %s\n", layout)
	for _, s := range res.Warnings {
		fmt.Fprintf(w, "WARNING   %s\n", s)
	}
	res.textStaged(w)
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

func inDays(t time.Time) string {
	if time.Until(t) < 0 {
		return "expired " + daysUntil(t)
	}
	return "in " + daysUntil(t)
}

func (res *statusResult) textStaged(w io.Writer) {
	if res.Staged != nil {
		for _, s := range res.Staged.Intents {
			fmt.Fprintf(w, "staged    %s\n", s)
		}
		for _, rc := range res.Staged.Roles {
			for _, s := range rc.Signatures {
				fmt.Fprintf(w, "          %s v%d: %d of %d signatures (%s)\n", rc.Role, rc.To, s.Have, s.Need, s.By)
			}
		}
	}
	for _, s := range res.Next {
		fmt.Fprintf(w, "next      %s\n", s)
	}
}

func (res *statusResult) check(within time.Duration) error {
	if within == 0 {
		return nil
	}
	var soon []string
	for _, rs := range res.Roles {
		if time.Until(rs.Expires) < within {
			soon = append(soon, fmt.Sprintf("%s v%d expires %s", rs.Role, rs.Version, rs.Expires.UTC().Format(time.RFC3339)))
		}
	}
	if len(soon) == 0 {
		return nil
	}
	return &expiresSoon{roles: soon}
}
