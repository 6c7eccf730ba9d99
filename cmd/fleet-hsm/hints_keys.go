package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/fleet-hsm/fleet-hsm/internal/pcsc"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// judgeKey judges what keys, tokens and secrets say.
func judgeKey(err error) verdict {
	secret := func(kind, hint string) verdict { return verdict{exitSecret, kind, hint} }
	if v, ok := judgeKMS(err); ok {
		return v
	}
	switch {
	case as[*signer.PartialError](err):
		return verdict{partialCode(err), "partly-set-up", `run "fleet-hsm token setup" again with the same new PIN and PUK: it goes on from there, or says that the card is set up already if nothing was left to do; the keys on the card stay as they are`}
	case errors.Is(err, signer.ErrPassphrase):
		return secret("wrong-passphrase", "a passphrase is tried as it stands and, where its source ends it with a line end, without that; "+again(err)+". All keys of a file share one passphrase")
	case errors.Is(err, signer.ErrLastTry):
		return secret("last-try", "the PIN was not tried. Run it at a terminal and type the PIN there; a right one brings all tries back, and so does a new PIN set with the PUK or SO PIN")
	case errors.Is(err, signer.ErrPINLocked):
		return secret("pin-blocked", `the keys on it are still there. A card's PUK sets a new PIN ("ykman piv access unblock-pin", or "yubico-piv-tool -a unblock-pin"), a token's SO PIN does the same there; other keys can sign meanwhile`)
	case errors.Is(err, signer.ErrPINIncorrect):
		return secret("wrong-pin", hintWrongPIN(err))
	case errors.Is(err, signer.ErrPINTooSimple):
		return secret("pin-too-simple", "the card's owner has it refuse simple PINs and PUKs (PIN complexity): not one character throughout, and none that everybody chooses, such as 123123. Choose others and "+again(err))
	case errors.Is(err, signer.ErrManagement):
		return secret("management-key", "whoever set up the card has it, or their card management system. --management-key-source SOURCE gives it, in hexadecimal digits, to key generate, init and rotate; to token setup too, which then keeps a new one on the card, behind the PIN. The keys that are on the card sign without it")
	case errors.Is(err, signer.ErrPINInvalid):
		return secret("pin-invalid", "the PIN was not tried; check its length and the source that it comes from")
	case errors.Is(err, signer.ErrPINNotSet):
		return secret("pin-not-set", `the token was set up, and has no user PIN yet: the SO PIN sets one ("pkcs11-tool --init-pin", or its maker's program); where it holds nothing, "fleet-hsm token setup" with --erase LABEL begins again`)
	case errors.Is(err, signer.ErrNoSecret):
		return secret("no-secret", hintNoSecret(err))
	case errors.Is(err, signer.ErrFileMode):
		return verdict{exitRefused, "file-mode", hintMode(err)}
	case errors.Is(err, file.ErrNotEncrypted):
		return verdict{exitRefused, "not-encrypted", `"fleet-hsm key passwd file:PATH" encrypts it`}
	case errors.Is(err, signer.ErrKeyChanged):
		return verdict{exitRefused, "key-changed", `no signature was made; "fleet-hsm key list" shows which keys are where, and "fleet-hsm rotate ROLE --key URI" gives the role the one that is there, if that is meant`}
	case errors.Is(err, signer.ErrAmbiguous):
		return verdict{exitUsage, "ambiguous", "add serial=, id= or object= to the key URI so that only one matches"}
	case errors.Is(err, signer.ErrKeyExists):
		return verdict{exitRefused, "key-exists", unchanged(err, "choose another label or slot, or use the key that is there")}
	case errors.Is(err, signer.ErrTouchTimeout):
		return secret("touch-timeout", "the PIN was right and nothing is lost; "+again(err)+" and touch the key when its light blinks")
	case errors.Is(err, signer.ErrBusy) && as[*pkcs11.CKRError](err):
		return secret("busy", "other programs hold the token or all its sessions; end one, or wait, and "+again(err))
	case errors.Is(err, signer.ErrBusy):
		return secret("busy", `another program holds the card, most often GnuPG's scdaemon, a browser or a VPN client; "gpgconf --kill scdaemon" frees it; then `+again(err))
	}
	return judgeDevice(err)
}

func judgeDevice(err error) verdict {
	secret := func(kind, hint string) verdict { return verdict{exitSecret, kind, hint} }
	switch {
	case errors.Is(err, signer.ErrAlreadySetUp):
		return verdict{exitRefused, "already-set-up", hintAlreadySetUp(err)}
	case errors.Is(err, signer.ErrAttestation):
		return verdict{exitUnverified, "attestation", "cards of other vendors, and test cards, have a root of their own: --attestation-ca FILE"}
	case errors.Is(err, signer.ErrNotSetUp):
		return verdict{exitRefused, "not-set-up", `"fleet-hsm token setup" sets its PIN first`}
	case errors.Is(err, signer.ErrDenied):
		return secret("denied", `the daemon runs, and polkit does not let this user reach it or the card, most often because there is no active session at the machine (SSH, a service). docs/troubleshooting.md ("denied") has a rule that lets one group in; once the rule is there, `+again(err))
	case as[*pcsc.LibraryError](err):
		return secret("unreachable", "install the PC/SC service (Debian and Ubuntu: pcscd; Fedora, RHEL: pcsc-lite); then "+again(err))
	case errors.Is(err, signer.ErrUnreachable), errors.Is(err, signer.ErrDeadline):
		return verdict{exitSecret, "unreachable", `the device or its daemon does not answer (YubiKeys need the PC/SC daemon: "systemctl enable --now pcscd.socket"); once it is back, ` + again(err)}
	case errors.Is(err, signer.ErrNoToken):
		return verdict{exitSecret, "no-token", `"fleet-hsm token list" shows what is plugged in; once it is there, ` + again(err)}
	case errors.Is(err, signer.ErrKeyNotFound), errors.Is(err, signer.ErrMaybeAbsent):
		return verdict{exitRefused, "key-not-found", `"fleet-hsm key list" shows the keys that are there`}
	case errors.Is(err, signer.ErrNotStarted):
		return secret("module-start", `the module is found, and what it needs is not: its configuration, its token files, its daemon or the network to the HSM; once that is back, `+again(err)+`. "fleet-hsm doctor" looks closer`)
	case errors.Is(err, signer.ErrConfig):
		return verdict{exitUsage, "module", `name the module with --pkcs11-module or "pkcs11: {module: ...}" in the configuration; "fleet-hsm doctor" checks it`}
	case as[*signer.GenerateError](err):
		return verdict{exitRefused, "not-generated", `no key was made. Make it with the token maker's own tool, and name it then: "fleet-hsm key list URI" shows what the token has, and every flag for a key takes its URI without --generate`}
	case errors.Is(err, signer.ErrUnsupported):
		return verdict{exitRefused, "unsupported", hintUnsupported(err)}
	case errors.Is(err, signer.ErrBadSignature):
		return verdict{exitRefused, "bad-signature", "the device answered with a wrong signature, which was not kept; " + again(err) + ", and replace the device if it happens twice"}
	case as[*prompt.NarrowError](err):
		return verdict{exitUsage, "no-terminal", `nothing was signed; make the window wider, or sign by the hash that "fleet-hsm review" prints (--reviewed, with --no-input)`}
	case errors.Is(err, signer.ErrNoTerminal):
		return verdict{exitUsage, "no-terminal", "run it at a terminal"}
	}
	switch {
	case errors.Is(err, signer.ErrCanceled):
		return verdict{exitRefused, "not-confirmed", "somebody said no at the device, or it gave up waiting; " + again(err)}
	case errors.Is(err, signer.ErrDevice):
		return verdict{exitRefused, "device", "nothing was signed or changed by this; " + again(err) + `, and look into the log of the device or its module if it fails twice. "fleet-hsm doctor" tries the way to the key step by step`}
	case as[*file.FormatError](err):
		return verdict{exitRefused, "key-file", unchanged(err, "put the file back from your copy of keys/")}
	}
	// What has no type of its own is the file system's or the network's, and says it.
	return verdict{exitRefused, "failed", hintFailed(err)}
}

// partialCode: why it stopped decides the exit code, as it does elsewhere.
func partialCode(err error) int {
	var p *signer.PartialError
	errors.As(err, &p)
	return judge(p.Err).code
}

// hintAlreadySetUp says what leads on, and what would be lost on the way that loses.
func hintAlreadySetUp(err error) string {
	var ke *signer.KeyError
	if !errors.As(err, &ke) || !ke.URI.Kind().Management {
		return unchanged(err, "its PIN and keys are as they were")
	}
	return unchanged(err, "the keys on it sign as before") + `. "fleet-hsm key generate" makes a new one if the management key is stored on the card; ` +
		`if somebody else keeps it, give it with --management-key-source. Only where nobody has it: --reset SERIAL begins again, and destroys every key that "fleet-hsm key list ` + ke.URI.String() + `" shows`
}

// hintUnsupported names the flag by which a person gets further.
func hintUnsupported(err error) string {
	var ue *signer.UnsupportedError
	errors.As(err, &ue)
	switch {
	case ue == nil:
	case ue.Option == signer.OptionTouchPolicy:
		return "many cards but YubiKeys have no touch: --touch-policy never makes a key that signs without one"
	case ue.Option == signer.OptionPINPolicy:
		return "leave --pin-policy out: the card then gives the key the policy of its slot"
	case ue.Option == signer.OptionAlgorithm:
		return "--algorithm names another kind of key; p256 is what most devices have"
	}
	return `another kind of key (--algorithm) or another device may do; "fleet-hsm token list" shows what is there`
}

func hintNoSecret(err error) string {
	var ce *prompt.CommandError
	if errors.As(err, &ce) && len(ce.Withheld) > 0 {
		return fmt.Sprintf(`a variable that the command needs is handed over if the command names it, for example "cmd:: $%s; ..."`, ce.Withheld[0])
	}
	var ns *signer.NoSecretError
	if !errors.As(err, &ns) || len(ns.Tried) == 0 {
		return "run it at a terminal, or name a source for the secret"
	}
	s := "run it at a terminal, or give "
	if to := again(err); to != againSame {
		s = to + ", at a terminal or with "
	}
	for i, t := range ns.Tried {
		if i > 0 {
			s += " or "
		}
		s += t
	}
	return s
}

func hintMode(err error) string {
	var fm *signer.FileModeError
	if !errors.As(err, &fm) {
		return "let only its owner read it: chmod 600"
	}
	if fm.Who != "" && fm.Fixed {
		return "use a folder on an NTFS drive: FAT and exFAT keep no access lists"
	}
	if fm.Who != "" {
		return fmt.Sprintf(`icacls "%s" /inheritance:r /grant:r "%%USERNAME%%:F"`, fm.Path)
	}
	if fm.Fixed {
		return fmt.Sprintf("chmod changes nothing there (FAT, exFAT, NTFS, SMB): mount it with umask=077 (or fmask=177,dmask=077) and uid=%d, or use a folder on another file system", os.Geteuid())
	}
	return fmt.Sprintf("chmod %o %q", fm.Want, fm.Path)
}

// hintWrongPIN says how far it is to a blocked PIN, as far as the device tells.
func hintWrongPIN(err error) string {
	var pe *signer.PINError
	ask := "Is it the PIN of this device, and not its FIDO2 PIN?"
	switch {
	case !errors.As(err, &pe) || pe.Left < 0:
		return "a PIN is tried once, so " + again(err) + ". " + ask
	case pe.Left == 1:
		return "nothing is lost, but one more wrong PIN blocks it; " + again(err) + ", and you will be asked before the last try. " + ask
	}
	return fmt.Sprintf("nothing is lost: it blocks after %d more wrong ones, and a right one brings all tries back; %s. %s", pe.Left, again(err), ask)
}

// exampleKey is where the key of a role could move to, for who moves in.
func exampleKey(role string) string {
	switch role {
	case meta.RoleSnapshot, meta.RoleTimestamp:
		return `"pkcs11:token=TOKEN;object=` + role + `"`
	}
	return `"piv:serial=SERIAL;slot=9c"`
}

func hintShort(err error) string {
	var s *keyring.ShortError
	if !errors.As(err, &s) {
		return `"fleet-hsm status" says who can still sign`
	}
	if s.Role == meta.RoleSnapshot || s.Role == meta.RoleTimestamp {
		return fmt.Sprintf(`run "fleet-hsm commit" where the %s key is; with consistent snapshots "fleet-hsm commit --without-timestamp" leaves the timestamp to another machine`, s.Role)
	}
	role := s.Role
	if role != meta.RoleRoot {
		role = meta.RoleTargets // cold roles are signed with its keys
	}
	return fmt.Sprintf(`run "fleet-hsm sign" where that key is plugged in, or name its file: "fleet-hsm sign --%s-key file:PATH"; then "fleet-hsm commit". "fleet-hsm discard" drops the change`, role)
}

// hintFailed is for what the file system or the network said.
func hintFailed(err error) string {
	return cmp.Or(hintPath(err), "put right what the message names") + "; then " + again(err)
}

const againSame = "run the command again"

// unchanged leads on from an error before which nothing was changed; where a change is
// staged that is not said, and how it goes on is.
func unchanged(err error, then string) string {
	if as[*workflow.StagedError](err) {
		return then + "; then " + again(err)
	}
	return "nothing was changed; " + then
}

// again says how to try once more what failed.
func again(err error) string {
	var e *workflow.StagedError
	if errors.As(err, &e) {
		return `go on with "fleet-hsm ` + e.Next + `"`
	}
	return againSame
}
