package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

type statusOptions struct {
	failWithin optionalDuration
	markdown   bool
	url        string
	served     servedFlags
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
  fleet-hsm status --fail-within 30d   # exit 6 if something expires within 30 days
  fleet-hsm status --url https://updates.example.com --root root.json --markdown`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runStatus(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.Var(&o.failWithin, "fail-within", "exit 6 if a role expires within this time")
	takesNothing(f, "fail-within", "if a role has expired")
	f.BoolVar(&o.markdown, "markdown", false, "a table for documents")
	f.StringVar(&o.url, "url", "", "look at the repository that is served there, not at --path")
	o.served.add(f)
	return cmd
}

// statusResult is status with --json.
type statusResult struct {
	Schema      int          `json:"schema"`
	Source      string       `json:"source,omitempty"` // the URL, with --url
	Consistent  bool         `json:"consistent_snapshot"`
	Roles       []roleStatus `json:"roles"`
	Staged      *repo.Card   `json:"staged,omitempty"`
	Interrupted bool         `json:"interrupted_commit"`
	Leftovers   []string     `json:"leftovers,omitempty"`
	Warnings    []string     `json:"warnings,omitempty"`
	Next        []step       `json:"next"`

	standing []error
}

type roleStatus struct {
	Role      string      `json:"role"`
	Version   int64       `json:"version"`
	Expires   time.Time   `json:"expires"`
	DaysLeft  int         `json:"days_left"`
	Threshold int         `json:"threshold"`
	Signed    int         `json:"signed"` // keys whose signatures verify
	Keys      []keyStatus `json:"keys"`

	// left until it expires, how early to warn, and what new metadata gets.
	left, early, usual time.Duration
}

func newRoleStatus(cfg *config.Config, role string, version int64, expires, now time.Time) roleStatus {
	left := expires.Sub(now)
	usual, ok := cfg.Expiries[role]
	if !ok {
		usual = repo.DefaultExpiries()[role]
	}
	return roleStatus{Role: role, Version: version, Expires: expires.UTC(), DaysLeft: int(left.Hours() / 24),
		Keys: []keyStatus{}, left: left, early: cfg.Early(role), usual: usual}
}

type keyStatus struct {
	KeyID    tuf.KeyID `json:"keyid"`
	Type     string    `json:"keytype"`
	Name     string    `json:"name,omitempty"`
	Place    string    `json:"place"`           // URI, or "unknown"
	Proof    string    `json:"proof,omitempty"` // see proofOf
	Signed   bool      `json:"signed"`          // its signature over the published metadata verifies
	Doubtful string    `json:"doubtful,omitempty"`
}

// expiresSoon is the answer to --fail-within. Exit 6.
type expiresSoon struct {
	roles []string
}

func (e *expiresSoon) Error() string { return strings.Join(e.roles, "; ") }

func (a *app) runStatus(ctx context.Context, o statusOptions) error {
	if o.url != "" {
		return a.runStatusServed(ctx, o)
	}
	if err := o.served.needsURL(); err != nil {
		return err
	}
	w, err := a.look()
	if err != nil {
		return err
	}
	if w.Published == nil {
		return a.statusOfInit(w)
	}
	res, err := w.status(ctx)
	if err != nil {
		return err
	}
	if err := a.printStatus(res, o); err != nil {
		return err
	}
	return res.check(o.failWithin)
}

func (a *app) printStatus(res *statusResult, o statusOptions) error {
	if res.Roles == nil {
		res.Roles = []roleStatus{}
	}
	if res.Next == nil {
		res.Next = []step{}
	}
	if o.markdown {
		return a.print(res, res.markdown)
	}
	return a.print(res, res.text)
}

func (a *app) statusOfInit(w *work) error {
	card, err := w.Repo.Card(nil, w.Staged, w.Config.Expiries)
	if err != nil {
		return err
	}
	res := statusResult{Schema: 1, Roles: []roleStatus{}, Staged: &card, Next: w.next(nil)}
	return a.print(res, func(out *prompt.Writer) {
		out.Printf("a new repository is staged and not published yet\n")
		res.textStaged(out)
	})
}

func (w *work) status(ctx context.Context) (*statusResult, error) {
	left, err := w.Repo.FleetctlLeftovers()
	if err != nil {
		return nil, err
	}
	interrupted, err := w.Repo.InterruptedCommit()
	if err != nil {
		return nil, err
	}
	res := &statusResult{Schema: 1, Consistent: w.Published.Root.ConsistentSnapshot(), Leftovers: left, Interrupted: interrupted, Warnings: slices.Concat(w.Published.Warnings, w.Keys.OnOneDevice(w.Published.Root, nil))}
	if err := w.a.checkClock(); err != nil {
		res.Warnings = slices.Insert(res.Warnings, 0, err.Error())
	}
	if res.standing, err = w.checkStanding(); err != nil {
		return nil, err
	}
	for _, err := range res.standing {
		res.Warnings = append(res.Warnings, err.Error())
	}
	now := w.Repo.Now()
	for _, role := range repo.Roles() {
		rs := newRoleStatus(w.Config, role, w.Published.VersionOf(role), w.Published.ExpiresOf(role), now)
		rs.Threshold = w.Published.Root.Threshold(role)
		signed := w.Published.SignedBy(role)
		rs.Signed = len(signed)
		for _, k := range w.Published.Root.Keys(role) {
			ks := w.keyStatus(ctx, role, k)
			ks.Signed = hasKeyID(signed, k.ID)
			rs.Keys = append(rs.Keys, ks)
		}
		res.Roles = append(res.Roles, rs)
	}
	res.Warnings = append(res.Warnings, w.Published.Targets.UnportableNames()...)
	res.Warnings = append(res.Warnings, res.expiryWarnings(w.Config, now)...)
	if w.Staged != nil {
		card, err := w.Repo.Card(w.Published, w.Staged, w.Config.Expiries)
		if err != nil {
			return nil, err
		}
		res.Staged = &card
	}
	res.Next = w.next(res)
	return res, nil
}

func (w *work) keyStatus(_ context.Context, role string, k repo.Key) keyStatus {
	ks := keyStatus{KeyID: k.ID, Type: k.Type(), Place: "unknown", Name: w.Config.Keys[k.ID].Name}
	if u, ok := w.Config.Locations[k.ID]; ok {
		ks.Place = u.String()
	} else if w.Keys.Files.Exists(keyring.RoleFile(role)) {
		// Which keys are in the file only its passphrase tells.
		ks.Place = keyring.RoleFile(role).String() + " (or elsewhere)"
		if len(w.Published.Root.Keys(role)) == 1 {
			ks.Place = keyring.RoleFile(role).String()
		}
	}
	if att, ok := w.Keys.Backends.Attester(); ok {
		// A root of the configuration that cannot be read is told by "key attest".
		extra, _ := w.Keys.AttestationRoots("")
		ks.Proof = w.Keys.ProofOf(att, k, extra)
	}
	return ks
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

func (res *statusResult) check(within optionalDuration) error {
	if !within.given {
		return nil
	}
	var soon []string
	for _, rs := range res.Roles {
		if time.Until(rs.Expires) < within.value() {
			soon = append(soon, fmt.Sprintf("%s v%d expires %s", rs.Role, rs.Version, rs.Expires.UTC().Format(time.RFC3339)))
		}
	}
	if len(soon) == 0 {
		return nil
	}
	return &expiresSoon{roles: soon}
}
