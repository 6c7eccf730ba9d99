package main

import (
	"context"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/buildtime"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// usage and usagef say that something was given wrongly.
func usage(err error) error { return misuse.Of(err) }

func usagef(format string, args ...any) error { return misuse.Errorf(format, args...) }

// Exit codes (DESIGN: Exit codes).
const (
	exitOK          = 0
	exitRefused     = 1
	exitUsage       = 2
	exitShort       = 3
	exitUnverified  = 4
	exitSecret      = 5
	exitExpires     = 6
	exitLocked      = 7
	exitInterrupted = 130
)

// verdict is what becomes of an error: the exit code, a word for programs, and what
// a person can do.
type verdict struct {
	code int
	kind string
	hint string
}

const hintInterrupted = `nothing is half-published; "fleet-hsm status" says whether a change waits`

// errInterrupted is what Ctrl-C is called; which step it met helps nobody.
var errInterrupted = errors.New("interrupted")

// exit reports an error on stderr and gives the exit code.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		a.log.End(nil, exitOK)
		return exitOK
	}
	if r, ok := workflow.IsRehearsal(err); ok && ctx.Err() == nil {
		return a.exit(ctx, a.reportRehearsal(r))
	}
	v := judge(err)
	if ctx.Err() != nil && v.code != exitOK {
		v = verdict{exitInterrupted, "interrupted", hintInterrupted}
	}
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	if v.hint == hintHelp && a.ran != "" {
		v.hint = helpOf(a.ran)
	}
	a.log.End(err, v.code)
	if a.json {
		a.jsonError(err, v)
		return v.code
	}
	a.sayError(err)
	if v.hint != "" {
		a.say("hint: %s", v.hint)
	}
	return v.code
}

// sayError says an error in one line, but for findings, of which each has its own.
func (a *app) sayError(err error) {
	if as[*workflow.HandBack](err) {
		a.say("%v", err) // no error: whoever signed has done what they were asked to
		return
	}
	unfit, ok := err.(*workflow.LintError)
	if !ok {
		a.say("fleet-hsm: %v", err)
		return
	}
	a.say("fleet-hsm: %s", workflow.LintHeading)
	for _, f := range unfit.Findings {
		a.say("  %s", workflow.FindingText(f))
	}
}

func (a *app) jsonError(err error, v verdict) {
	var out struct {
		Error struct {
			Code    int    `json:"code"`
			Kind    string `json:"kind"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		} `json:"error"`
	}
	out.Error.Code, out.Error.Kind, out.Error.Message, out.Error.Hint = v.code, v.kind, err.Error(), v.hint
	// stderr is the last place to complain to.
	_ = a.talk.JSON(out)
}

// judge walks from the particular to the general; the first match wins.
func judge(err error) verdict {
	var refused *meta.RefusedError
	var unfit *workflow.LintError
	switch {
	case errors.Is(err, context.Canceled):
		return verdict{exitInterrupted, "interrupted", hintInterrupted}
	case as[*schema.NewerError](err):
		return verdict{exitUnverified, "newer", unchanged(err, "take the version of fleet-hsm that wrote it, or a newer one, on this machine too")}
	case errors.Is(err, signer.ErrNotConfirmed), errors.Is(err, errNotReset), errors.Is(err, keyring.ErrNotDestroyed):
		return verdict{exitRefused, "not-confirmed", again(err) + " to be asked again"}
	case as[*keyring.DestroysError](err):
		return verdict{exitRefused, "key-in-use", `take it out of its roles first ("fleet-hsm rotate ROLE --remove KEYID", "fleet-hsm status" lists them) and out of the configuration, or run this at a terminal, which asks for the device's serial number; no flag says it`}
	case as[*workflow.ReviewedMismatch](err):
		return verdict{exitUnverified, "reviewed-mismatch", `what is staged is not what was reviewed; look again with "fleet-hsm review"`}
	case as[*workflow.RequestError](err):
		return judgeRequest(err)
	case errors.Is(err, ceremony.ErrTranscript):
		return verdict{exitUnverified, "transcript", "what was published is untouched; a log that was altered proves nothing, so begin a new one"}
	case as[*workflow.NotReviewed](err):
		return verdict{exitRefused, "not-reviewed", `"fleet-hsm review" shows it and prints the hash; with --reviewed HASH, once for each role, it is taken along. --drop-staged, or "fleet-hsm discard", drops it`}
	case as[*workflow.PolicyError](err):
		return verdict{exitRefused, "policy", "no key was used; ask whoever staged the change, and change the policy only if you are sure"}
	case as[*expiresSoon](err):
		return verdict{exitExpires, "expires-soon", `"fleet-hsm status" names the command that renews it`}
	case as[*attestationError](err):
		return verdict{exitUnverified, "attestation", `fetch it again with "fleet-hsm key attest piv:serial=..;slot=.." while the card is plugged in; do not trust the key before`}
	case as[*remote.UnverifiedError](err):
		return verdict{exitUnverified, "unverified", `each line above names the file, and docs/compat.md the check. In a folder of yours "fleet-hsm doctor --mend" puts in order what lies there, and "fleet-hsm pull" brings what a store has; a server gets it with "fleet-hsm publish"`}
	case as[*keyring.ImportedError](err):
		return verdict{exitRefused, "imported-key", "make a key on the token (--generate), or take this one with --allow-imported"}
	case as[*workflow.HandBack](err):
		return verdict{exitShort, "short", "nothing is left to do here; whoever sent the request attaches it where the repository is"}
	case as[*keyring.ShortError](err), errors.Is(err, meta.ErrShort):
		return verdict{exitShort, "short", hintShort(err)}
	case as[*owned.Error](err):
		return verdict{exitUsage, "not-yours", hintOwner(err)}
	case as[*misuse.Error](err), as[*config.Error](err), as[*signer.URIError](err), as[*keyring.CallError](err), errors.Is(err, meta.ErrName):
		return verdict{exitUsage, "usage", hintUsage(err)}
	case errors.As(err, &unfit):
		return verdict{exitRefused, "lint", hintLint(unfit)}
	case as[*edit.MissingError](err):
		return verdict{exitRefused, "missing", "narrow it with --name or --platform, add what is missing first, or say --allow-missing"}
	case errors.As(err, &refused):
		return verdict{exitRefused, string(refused.Kind), hintNear(refused) + hintRefused(refused.Kind)}
	case errors.Is(err, repo.ErrLocked):
		return verdict{exitLocked, "locked", "wait for the other command, or give --lock-timeout more time; if that process hangs, ending it is safe"}
	case errors.Is(err, meta.ErrExpired):
		return verdict{exitUnverified, "expired", hintExpired(err)}
	case as[*repo.FaultyError](err):
		return verdict{exitUnverified, "faulty", hintFaulty(err)}
	case errors.Is(err, meta.ErrMetadata):
		return verdict{exitUnverified, "metadata", hintMetadata(err)}
	case as[*repo.InterruptedError](err):
		return verdict{exitRefused, "interrupted-commit", `nothing is lost: once the cause is gone, the next command that writes finishes it, without any key`}
	case errors.Is(err, repo.ErrNoRepository):
		return verdict{exitRefused, "no-repository", `name its folder with --path, or make one with "fleet-hsm init"`}
	case errors.Is(err, repo.ErrNothingStaged):
		return verdict{exitRefused, "nothing-staged", `"fleet-hsm status" shows what is published`}
	case errors.Is(err, repo.ErrExists):
		return verdict{exitRefused, "exists", unchanged(err, "init only works in a folder without repository metadata")}
	case errors.Is(err, repo.ErrContent):
		return verdict{exitRefused, "content", "name a regular file that is readable and that nothing writes to meanwhile"}
	case errors.Is(err, meta.ErrKey):
		return verdict{exitRefused, "key", "agents accept Ed25519, P-256 and RSA keys; docs/keys.md lists them"}
	case as[*meta.SignatureError](err):
		return verdict{exitRefused, "bad-signature", "it was not kept; sign again, and replace the device if it happens twice"}
	case as[*buildtime.ClockError](err):
		return verdict{exitRefused, "clock", "set this machine's clock"}
	case as[*problemsError](err):
		return verdict{exitRefused, "doctor", "every line that is not ok names its remedy"}
	case errors.Is(err, verify.ErrUnreachable):
		return verdict{exitRefused, "source", "check the address, the network and --ca-file; nothing was verified"}
	case as[*remote.RejectedError](err):
		return verdict{exitUnverified, "rejected", unchanged(err, `"fleet-hsm verify URL --root FILE" lists what is wrong`)}
	}
	if v, ok := judgePackage(err); ok {
		return v
	}
	if v, ok := judgeWatch(err); ok {
		return v
	}
	if v, ok := judgeOnline(err); ok {
		return v
	}
	if v, ok := judgeStore(err); ok {
		return v
	}
	return judgeKey(err)
}

func as[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}
