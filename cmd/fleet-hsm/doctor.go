package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type doctorOptions struct {
	sign bool
	// report describes devices instead of looking for problems.
	report       bool
	mend, giveUp bool
	keys         roleKeyFlags
	store        storeFlags
}

func (a *app) doctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [URI]...",
		Short: "Find what is wrong before the day it matters",
		Long: `doctor looks at every key that root names (or at the URIs): is its module, token or
file there and usable, and is the key under it the one that root names. It asks for no
secret. --sign also signs with each key, which needs its PIN, passphrase or touch;
what it signs can never be metadata. --mend puts a folder in order over which an older
copy was laid, without any key: root.json, the chain of roots, and with consistent
snapshots the newest whole set that verifies. What it cannot bring back it names; with
--give-up the next change is built on what is here and numbered above what is lost.`,
		Example: `  fleet-hsm doctor
  fleet-hsm doctor --mend
  fleet-hsm doctor --sign "pkcs11:token=fleet;object=timestamp"
  fleet-hsm doctor --report piv:reader=ACME`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runDoctor(cmd.Context(), args, o) },
	}
	cmd.Flags().BoolVar(&o.sign, "sign", false, "also sign something with each key")
	cmd.Flags().BoolVar(&o.mend, "mend", false, "put a folder in order that an older copy was laid over")
	cmd.Flags().BoolVar(&o.giveUp, "give-up", false, "with --mend: go on without what is lost, above its versions")
	cmd.Flags().StringVar(&o.store.url, "store", "", "try on this store what publish and online rely on, conditional writes above all")
	cmd.Flags().BoolVar(&o.report, "report", false, "print what a report on a card or module needs (docs/devices.md), and nothing secret")
	o.store.add(cmd.Flags())
	o.keys = addRoleKeyFlags(cmd.Flags(), repo.Roles()...)
	return cmd
}

// checked is one line of doctor.
type checked struct {
	Subject string `json:"subject"` // key URI, or "repository"
	Code    string `json:"code"`
	OK      bool   `json:"ok"`
	Warning bool   `json:"warning,omitempty"` // ok, and worth reading
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
}

type doctorResult struct {
	Schema   int       `json:"schema"`
	Findings []checked `json:"findings"`
	Problems int       `json:"problems"`
}

func (res *doctorResult) add(subject string, f signer.Finding) {
	c := checked{Subject: subject, Code: f.Code, OK: f.OK, Warning: f.OK && f.Warning, Text: f.Text}
	if !f.OK {
		res.Problems++
		if f.Err != nil {
			c.Hint = judge(f.Err).hint
		}
	}
	res.Findings = append(res.Findings, c)
}

// ill: doctor found problems. Exit 1.
type ill struct{ problems int }

func (e *ill) Error() string { return fmt.Sprintf("%d problem(s) found", e.problems) }

func (a *app) runDoctor(ctx context.Context, args []string, o doctorOptions) error {
	if o.report {
		if o.sign || o.store.url != "" {
			return usagef("--report looks at devices only; --sign and --store do not go with it")
		}
		return a.runReport(ctx, args)
	}
	if o.giveUp && !o.mend {
		return usagef("--give-up goes with --mend")
	}
	if o.mend {
		if len(args) > 0 || o.sign || o.store.url != "" {
			return usagef("--mend looks at the folder; URIs, --sign and --store do not go with it")
		}
		return a.mend(ctx, o.giveUp)
	}
	res := &doctorResult{Schema: 1, Findings: []checked{}}
	if err := a.checkConfig(res); err != nil {
		return err
	}
	if err := a.checkClock(); err != nil {
		res.add("clock", signer.Finding{Code: "clock", Text: err.Error(), Err: err})
	}
	keys, err := a.plain()
	if err != nil {
		return err
	}
	if err := o.keys.use(keys); err != nil {
		return err
	}
	if o.store.url != "" {
		if err := a.probeStore(ctx, res, o.store); err != nil {
			return err
		}
	}
	var refs []signer.Ref
	if o.store.url == "" || len(args) > 0 {
		if refs, err = a.toProbe(res, keys, args); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		a.probe(ctx, res, keys, ref, o.sign)
	}
	if err := a.print(res, func(w *prompt.Writer) { res.text(w) }); err != nil {
		return err
	}
	if res.Problems > 0 {
		return &ill{res.Problems}
	}
	return nil
}

// toProbe lists the keys to look at: those that were named, or every place that is
// known of a key in root.
func (a *app) toProbe(res *doctorResult, keys *keyring.Ring, args []string) ([]signer.Ref, error) {
	if len(args) > 0 {
		var refs []signer.Ref
		for _, s := range args {
			u, roles, err := a.keyArg(s)
			if err != nil {
				return nil, err
			}
			refs = append(refs, signer.Ref{URI: u, Roles: roles})
		}
		return refs, nil
	}
	p, err := a.repo().LoadOnline()
	if err != nil {
		res.add("repository", signer.Finding{Code: "repository", Text: err.Error(), Err: err})
		return nil, nil
	}
	res.add("repository", signer.Finding{Code: "repository", OK: true, Text: fmt.Sprintf("root v%d, snapshot v%d and timestamp v%d verify", p.Root.Version(), p.Snapshot.Version(), p.Timestamp.Version())})
	a.checkDates(res, p)
	if err := a.checkHistory(res, p); err != nil {
		return nil, err
	}
	for _, s := range keys.OnOneDevice(p.Root, nil) {
		res.add("repository", signer.Finding{Code: "one-device", OK: true, Warning: true, Text: s})
	}
	var refs []signer.Ref
	seen := map[string]bool{}
	for _, role := range repo.Roles() {
		for _, k := range p.Root.Keys(role) {
			list, err := keys.Candidates(role, k)
			if err != nil {
				return nil, err
			}
			for _, c := range list {
				// One file serves all its keys; its public parts are behind the passphrase.
				id := c.URI.String() + k.ID.String()
				ref := signer.Ref{URI: c.URI, Pinned: k.Public, Roles: []string{role}}
				if c.URI.Kind().Sealed {
					id = c.URI.String()
				}
				if !seen[id] {
					seen[id] = true
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs, nil
}

// probeStore writes files of its own to the store and removes them.
func (a *app) probeStore(ctx context.Context, res *doctorResult, o storeFlags) error {
	s, _, err := a.openStore(nil, o)
	if err != nil {
		return err
	}
	for _, f := range store.Probe(ctx, s) {
		res.add(s.String(), signer.Finding{Code: f.Code, OK: f.OK, Text: f.Text, Err: f.Err})
		if !f.OK {
			res.Findings[len(res.Findings)-1].Hint = hintFinding(f)
		}
	}
	return nil
}

func (a *app) checkDates(res *doctorResult, p *repo.Published) {
	now := a.repo().Now()
	for _, role := range []string{repo.RoleRoot, repo.RoleSnapshot, repo.RoleTimestamp} {
		if err := p.Expired(now, role); err != nil {
			res.add("repository", signer.Finding{Code: "expired", Text: err.Error(), Err: err})
		}
	}
	for _, s := range p.Warnings {
		res.add("repository", signer.Finding{Code: "inconsistent", Text: s})
	}
}

func (a *app) checkHistory(res *doctorResult, p *repo.Published) error {
	w := &work{a, &workflow.Session{Repo: a.repo(), Published: p}}
	if whole, err := w.Repo.Load(); err == nil {
		w.Published = whole
	}
	found, err := w.checkStanding()
	for _, f := range found {
		res.add("repository", signer.Finding{Code: "history", Text: f.Error(), Err: f})
	}
	return err
}

func (a *app) probe(ctx context.Context, res *doctorResult, keys *keyring.Ring, ref signer.Ref, sign bool) {
	subject := ref.URI.String()
	be, err := keys.Backends.For(ref.URI)
	if err != nil {
		res.add(subject, signer.Finding{Code: "backend", Text: err.Error(), Err: err})
		return
	}
	well := true
	if p, ok := be.(signer.Prober); ok {
		for _, f := range p.Probe(ctx, ref) {
			well = well && f.OK
			res.add(subject, f)
		}
	}
	if !sign || !well {
		return
	}
	if err := a.trySigning(ctx, keys, ref); err != nil {
		res.add(subject, signer.Finding{Code: "sign", Text: err.Error(), Err: err})
		return
	}
	res.add(subject, signer.Finding{Code: "sign", OK: true, Text: "signs, and the signature verifies"})
}

// notMetadata begins what doctor signs: it is no JSON, so no client can ever take it
// for the signed part of metadata.
const notMetadata = "fleet-hsm doctor: this is not metadata\n"

func (a *app) trySigning(ctx context.Context, keys *keyring.Ring, ref signer.Ref) (err error) {
	s, err := keys.Backends.Open(ctx, ref, a.person())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	message := append([]byte(notMetadata), rand.Text()...)
	sig, err := s.Sign(ctx, message)
	if err != nil {
		return err
	}
	return wiresig.Verify(s.Public(), message, sig)
}

func (res *doctorResult) text(w *prompt.Writer) {
	subject := ""
	for _, c := range res.Findings {
		if c.Subject != subject {
			subject = c.Subject
			w.Printf("%s\n", subject)
		}
		mark := "ok"
		switch {
		case !c.OK:
			mark = "PROBLEM"
		case c.Warning:
			mark = "WARNING"
		}
		w.Printf("  %-8s%s\n", mark, c.Text)
		if c.Hint != "" {
			w.Printf("          hint: %s\n", c.Hint)
		}
	}
}

// checkConfig is the line of doctor about the configuration. One that does not count is
// a problem, and the rest is looked at without it.
func (a *app) checkConfig(res *doctorResult) error {
	cfg, err := a.config()
	if as[*owned.Error](err) {
		res.add("configuration", signer.Finding{Code: "configuration", Text: err.Error(), Err: err})
		a.cfg, err = config.Parse(nil, a.kinds)
		return err
	}
	if err != nil {
		return err
	}
	text := cfg.File + " counts; nobody but the user and root can change it"
	if _, err := os.Stat(cfg.File); errors.Is(err, fs.ErrNotExist) {
		text = "none: " + cfg.File + " is not there"
	}
	res.add("configuration", signer.Finding{Code: "configuration", OK: true, Text: text})
	return nil
}
