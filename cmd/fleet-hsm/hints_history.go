package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// hintHistory leads out of a folder whose history is not whole.
func hintHistory(kind meta.RefusedKind) string {
	switch kind {
	case meta.WentBack:
		return `"fleet-hsm doctor --mend" puts the newest files that lie here in place again, and needs no key; "fleet-hsm pull" brings those of a store`
	case meta.RootChain:
		return `"fleet-hsm doctor --mend" puts it back if it lies in this folder, "fleet-hsm pull" if the store has it; else copy it into repository/ from a backup, or from what is served`
	case meta.LostVersions:
		return `"fleet-hsm pull" brings them if the store has them; or copy repository/ from a newer backup. "fleet-hsm doctor --mend --give-up" goes on without them, and the next change needs the keys of targets, snapshot and timestamp`
	case meta.LostRoot:
		return `agents that have it follow no other root of that number, so it cannot be given up: "fleet-hsm pull" brings it if the store has it; or copy repository/ from a newer backup, or N.root.json from what is served, and then "fleet-hsm doctor --mend"`
	case meta.LostFile:
		return `bring the file back from a copy, and the next command finishes that commit; or "fleet-hsm doctor --mend" goes on without it, and "fleet-hsm verify" then names what is missing`
	case meta.RootTwice:
		return `agents that have one of them follow the other nowhere, so keep the one that is served: "fleet-hsm pull --targets --path NEW --root repository/1.root.json URL" brings it into a new folder (URL may be a backup, or this repository/, as file:///...). Put keys/ and the configuration there and go on from it; find out who signed the other`
	case meta.SignAbove:
		return `"fleet-hsm rotate targets --renew" signs them, with the keys of targets, snapshot and timestamp; so does "fleet-hsm add"`
	case meta.SameFile:
		return "nothing was published; give each path a file of its own: replace the link by a folder, the hard link by a copy, or choose names that differ in more than case"
	}
	return hintArchive(kind)
}

// hintArchive leads on where cold roles are in the way.
func hintArchive(kind meta.RefusedKind) string {
	switch kind {
	case meta.ColdTrap:
		return `nothing was signed; "fleet-hsm discard" drops what is staged, and "fleet-hsm archive" makes cold roles that agents can use`
	case meta.Archived:
		return `"fleet-hsm promote VERSION --from VERSION --to CHANNEL" publishes an archived version in a channel; for other bytes take a new version, or bring the archive back with "fleet-hsm archive --undo"`
	case meta.ForeignRoles:
		return `the tool that made the roles changes them; "fleet-hsm add" and "fleet-hsm promote" go on beside them`
	}
	return ""
}

// hintFaulty leads out of a state on which nothing may be built.
func hintFaulty(err error) string {
	var fe *repo.FaultyError
	if !errors.As(err, &fe) || len(fe.Faults) == 0 {
		return `"fleet-hsm verify" lists everything that is wrong`
	}
	const then = `; "fleet-hsm verify" lists everything that is wrong`
	f := fe.Faults[0]
	switch {
	case f.Role == meta.RoleTargets && ofTarget(verify.Code(f.Code)):
		return `"fleet-hsm remove PATH..." takes such targets out, and "fleet-hsm add" of the same name puts one right, several with --stage-only before "fleet-hsm sign"` + then
	case f.Role == meta.RoleTargets, f.Role == meta.RoleSnapshot:
		return `"fleet-hsm rotate targets --renew" writes targets and snapshot anew` + then
	case f.Role == meta.RoleTimestamp:
		return `"fleet-hsm timestamp" signs a new one` + then
	}
	return `"fleet-hsm doctor --mend" puts in order what the files here allow, "fleet-hsm pull" brings what a store has` + then
}

// ofTarget reports whether a finding is about one target's entry.
func ofTarget(c verify.Code) bool {
	return slices.Contains([]verify.Code{
		verify.CodeTargetPath, verify.CodeTargetName, verify.CodeTargetVersion, verify.CodeTargetLength, verify.CodeSHA512,
		verify.CodeHashForm, verify.CodeDuplicateField, verify.CodeNumber, verify.CodeMalformed,
	}, c)
}

// hintFile leads on from a file in the folder that does not verify.
func hintFile(file string) string {
	switch {
	case strings.HasPrefix(file, "repository/"):
		return `"fleet-hsm verify" lists everything that is wrong; "fleet-hsm doctor --mend" puts in order what the files here allow, "fleet-hsm pull" brings what a store has`
	case file == "pending/journal":
		return `"fleet-hsm doctor --mend" drops it, and puts in order what the files here allow`
	case file == "pending/history.json":
		return "put it back from a backup, or move it away: then only the numbered files and the store tell what was published"
	}
	return ""
}
