package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
)

// judgeKMS judges what keys in a KMS, and the programs that lead to them, say.
func judgeKMS(err error) (verdict, bool) {
	var refused *kms.RefusedError
	switch {
	case as[*kms.ProgramError](err):
		return verdict{exitUsage, "kms-program", hintKMSProgram(err)}, true
	case as[*kms.DeadlineError](err):
		return verdict{exitSecret, "kms-unreachable", hintKMSUnreachable + again(err)}, true
	case as[*kms.AnswerError](err):
		return verdict{exitRefused, "kms-answer", `nothing that it said was kept; "fleet-hsm doctor" tries the way to the key again, and a newer or another plug-in may do. docs/kms.md has the protocol`}, true
	case as[*kms.SignatureError](err):
		return verdict{exitRefused, "bad-signature", "it was not kept. P-256 keys sign as ASN.1 DER over SHA-256, RSA keys with PSS: docs/kms.md says how keys are made and plug-ins set; where the KMS has another key by now, \"fleet-hsm rotate ROLE --key URI\" gives it the role"}, true
	case errors.As(err, &refused) && !errors.Is(err, signer.ErrKeyNotFound):
		return judgeRefusedKMS(err, refused), true
	}
	return verdict{}, false
}

const hintKMSUnreachable = `nothing is lost; look at the network, the proxy and the address of the service that this machine gives the plug-in, and once it answers, `

func judgeRefusedKMS(err error, e *kms.RefusedError) verdict {
	switch e.Class {
	case kms.Denied:
		return verdict{exitSecret, "kms-denied", "these credentials may not use the key; whoever administers the KMS lets them (docs/kms.md has the smallest policy), then " + again(err) + withheldFrom(e)}
	case kms.Expired:
		return verdict{exitSecret, "kms-expired", "log in again, or renew what the plug-in takes its credentials from, then " + again(err) + withheldFrom(e)}
	case kms.Throttled:
		return verdict{exitSecret, "kms-throttled", "too many requests for the KMS; wait a little, then " + again(err) + `; "fleet-hsm online" does so by itself`}
	case kms.Unreachable:
		return verdict{exitSecret, "kms-unreachable", hintKMSUnreachable + again(err)}
	case kms.Disabled:
		return verdict{exitRefused, "kms-disabled", `whoever administers the KMS can enable it, or keep it from being deleted, then ` + again(err) + `; "fleet-hsm rotate ROLE --key URI" gives the role another key`}
	}
	return verdict{exitRefused, "kms-refused", "the words are those of the plug-in or of the KMS. Once that is put right, " + again(err) + withheldFrom(e)}
}

// withheldFrom names variables that the plug-in may have missed.
func withheldFrom(e *kms.RefusedError) string {
	if len(e.Withheld) == 0 {
		return ""
	}
	return fmt.Sprintf(`. Not handed to it, because their names are those of secrets: %s; "kms: {environment: NAME}" in the configuration hands over what it needs`, strings.Join(e.Withheld, ", "))
}

func hintKMSProgram(err error) string {
	var pe *kms.ProgramError
	errors.As(err, &pe)
	switch pe.Code {
	case "program-writable":
		return "it was not started; put it into a folder that belongs to you or to root and that nobody else can write to (/usr/local/bin), and name that with \"kms: {plugins: FOLDER}\" in the configuration"
	case "program-start", "program-not-executable", "program-not-file":
		return "install the plug-in again, as its vendor says; it is an executable file for this machine (chmod 755)"
	}
	return `install the vendor's plug-in in a folder of PATH, or name its folder with "kms: {plugins: FOLDER}" in the configuration; docs/kms.md lists plug-ins`
}
