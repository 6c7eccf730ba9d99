package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/doctor"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type doctorOptions struct {
	sign bool
	// report describes devices instead of looking for problems.
	report       bool
	mend, giveUp bool
	// without are keys that are lost; try does what would be needed, in a copy.
	without []string
	try     bool
	keys    roleKeyFlags
	store   storeFlags
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
  fleet-hsm doctor --without "blue YubiKey" --try
  fleet-hsm doctor --sign "pkcs11:token=fleet;object=timestamp"
  fleet-hsm doctor --report piv:reader=ACME`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runDoctor(cmd.Context(), args, o) },
	}
	cmd.Flags().BoolVar(&o.sign, "sign", false, "also sign something with each key")
	cmd.Flags().BoolVar(&o.mend, "mend", false, "put a folder in order that an older copy was laid over")
	cmd.Flags().BoolVar(&o.giveUp, "give-up", false, "with --mend: go on without what is lost, above its versions")
	cmd.Flags().StringVar(&o.store.url, "store", "", "try on this store what publish and online rely on, conditional writes above all")
	cmd.Flags().BoolVar(&o.report, "report", false, "print what a report on a card or module needs (docs/devices.md), and nothing secret")
	cmd.Flags().Var((*many)(&o.without), "without", "what if this key were lost: key ID, name, URI, serial number or label of the device, or a part of the name such as its holder (may be given more than once)")
	cmd.Flags().BoolVar(&o.try, "try", false, "with --without: rotate in a copy of the folder, with the keys at hand")
	o.store.add(cmd.Flags())
	o.keys = addRoleKeyFlags(cmd.Flags(), meta.Roles()...)
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

// resultOf adds a hint to what is wrong.
func resultOf(found []doctor.Finding) *doctorResult {
	res := &doctorResult{Schema: 1, Findings: []checked{}}
	for _, f := range found {
		c := checked{Subject: f.Subject, Code: f.Code, OK: f.OK, Warning: f.OK && f.Warning, Text: f.Text}
		if !f.OK {
			res.Problems++
			c.Hint = hintOfFinding(f)
		}
		res.Findings = append(res.Findings, c)
	}
	return res
}

func hintOfFinding(f doctor.Finding) string {
	switch {
	case f.Store != nil:
		return hintFinding(*f.Store)
	case f.Err != nil:
		return judge(f.Err).hint
	}
	return ""
}

// problemsError: doctor found problems. Exit 1.
type problemsError struct{ problems int }

func (e *problemsError) Error() string { return fmt.Sprintf("%d problem(s) found", e.problems) }

func (o doctorOptions) check(args []string) error {
	other := o.sign || o.store.url != ""
	switch {
	case o.report && other:
		return usagef("--report looks at devices only; --sign and --store do not go with it")
	case o.try && len(o.without) == 0:
		return usagef("--try goes with --without")
	case len(o.without) > 0 && (len(args) > 0 || other || o.report || o.mend):
		return usagef("--without looks at who could still sign; URIs and other looks do not go with it")
	case o.giveUp && !o.mend:
		return usagef("--give-up goes with --mend")
	case o.mend && (len(args) > 0 || other):
		return usagef("--mend looks at the folder; URIs, --sign and --store do not go with it")
	}
	return nil
}

func (a *app) runDoctor(ctx context.Context, args []string, o doctorOptions) error {
	if err := o.check(args); err != nil {
		return err
	}
	if o.report {
		return a.runReport(ctx, args)
	}
	if len(o.without) > 0 {
		return a.runWithout(ctx, o)
	}
	if o.mend {
		return a.mend(ctx, o.giveUp)
	}
	e := &doctor.Examination{Sign: o.sign}
	found, err := a.checkConfig()
	if err != nil {
		return err
	}
	e.Found = append(e.Found, found)
	if err := a.checkClock(); err != nil {
		e.Found = append(e.Found, doctor.Bad("clock", "clock", err))
	}
	if e.Session, err = a.session("doctor"); err != nil {
		return err
	}
	if err := o.keys.use(e.Session.Keys); err != nil {
		return err
	}
	if o.store.url != "" {
		s, _, err := a.openStore(nil, o.store)
		if err != nil {
			return err
		}
		e.Store(ctx, s)
	}
	refs, err := a.keysToProbe(e, args, o)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		e.Key(ctx, ref)
	}
	res := resultOf(e.Found)
	if err := a.print(res, res.text); err != nil {
		return err
	}
	if res.Problems > 0 {
		return &problemsError{res.Problems}
	}
	return nil
}

// keysToProbe lists the keys to look at: those that were named, or those that root names.
func (a *app) keysToProbe(e *doctor.Examination, args []string, o doctorOptions) ([]signer.Ref, error) {
	if len(args) == 0 && o.store.url != "" {
		return nil, nil
	}
	if len(args) == 0 {
		return e.Repository()
	}
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

func (res *doctorResult) text(w *prompt.Writer) {
	subject := ""
	for _, c := range res.Findings {
		if c.Subject != subject {
			subject = c.Subject
			w.Printf("%s\n", subject)
		}
		mark, means := "ok", prompt.Good
		switch {
		case !c.OK:
			mark, means = "PROBLEM", prompt.Bad
		case c.Warning:
			mark, means = "WARNING", prompt.Soon
		}
		w.Printf("  %s%s\n", w.Marked(means, prompt.Sprintf("%-8s", mark)), c.Text)
		if c.Hint != "" {
			w.Printf("          hint: %s\n", c.Hint)
		}
	}
}

// checkConfig is the line of doctor about the configuration. One that does not count is
// a problem, and the rest is looked at without it.
func (a *app) checkConfig() (doctor.Finding, error) {
	const subject = "configuration"
	cfg, err := a.config()
	if as[*owned.Error](err) {
		found := doctor.Bad(subject, subject, err)
		a.cfg, err = config.Parse(nil, a.kinds)
		return found, err
	}
	if err != nil {
		return doctor.Finding{}, err
	}
	if _, err := os.Stat(cfg.File); errors.Is(err, fs.ErrNotExist) {
		return doctor.Good(subject, subject, "none: %s is not there", cfg.File), nil
	}
	return doctor.Good(subject, subject, "%s counts; nobody but the user and root can change it", cfg.File), nil
}
