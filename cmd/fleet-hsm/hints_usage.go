package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// hintUsage says what a flag, an argument, a name, a URI or a file should have been.
func hintUsage(err error) string {
	var ne *meta.NameError
	if errors.As(err, &ne) && ne.What == "platform" {
		return "--allow-unknown-platform takes it all the same"
	}
	if ne != nil && slices.Contains([]string{"name", "channel", "version"}, ne.What) {
		return "it is one element of a URL's path, such as orbit, stable or 1.2.3 (an extension is named extensions/NAME)"
	}
	if ne != nil && ne.What == "target path" {
		return "choose names of small letters, digits, dots and dashes, which every web root holds; what is published under such a name already can be added again"
	}
	var um *workflow.Unreviewed
	if errors.As(err, &um) {
		return `"fleet-hsm review" prints the hash; give it back as --reviewed HASH, once for each role`
	}
	var ae *argsError
	if errors.As(err, &ae) {
		return "usage: " + ae.use
	}
	var fe *flagError
	if errors.As(err, &fe) {
		if fe.near != "" {
			return fmt.Sprintf(`did you mean --%s? "%s --help" has all flags`, fe.near, fe.command)
		}
		return fmt.Sprintf(`run "%s --help" for its flags`, fe.command)
	}
	var uc *unknownCommand
	if errors.As(err, &uc) {
		if uc.near != "" {
			return fmt.Sprintf("did you mean %q?", uc.parent+" "+uc.near)
		}
		return fmt.Sprintf(`run "%s --help" for the commands`, uc.parent)
	}
	var call *keyring.CallError
	if errors.As(err, &call) && len(call.Means) > 1 {
		return "name it by its key ID (fleet-hsm status) or its whole URI"
	}
	if call != nil && call.Near != "" {
		return fmt.Sprintf("did you mean %q? Or ", call.Near) + hintForm(err)
	}
	var word *unknownWord
	if errors.As(err, &word) && word.near != "" {
		return fmt.Sprintf("did you mean %q?", word.near)
	}
	return hintForm(err)
}

// hintHelp is completed with the command that was run (app.exit).
const hintHelp = `run "fleet-hsm COMMAND --help" for its flags, with examples`

// helpOf is hintHelp for a command.
func helpOf(command string) string {
	return fmt.Sprintf(`run "%s --help" for its flags, with examples`, command)
}

// hintForm says where the form of something is described.
func hintForm(err error) string {
	switch {
	case as[*signer.URIError](err):
		return "for example file:keys/root.json, pkcs11:token=fleet;object=targets or piv:serial=15835999;slot=9c (in quotes); docs/keys.md has every form"
	case as[*config.ManifestError](err):
		return "version: \"1.2.3\", channels: [stable], targets: [{name: orbit, platform: linux, file: build/orbit}]; docs/files.md shows one"
	case as[*config.Error](err):
		return "docs/files.md shows every field of the configuration"
	}
	if as[*config.FolderError](err) {
		return `name the repository's folder with --path, or make one with "fleet-hsm init"`
	}
	return cmp.Or(hintPath(err), hintHelp)
}

// hintOwner says how to get round a configuration that does not count.
func hintOwner(err error) string {
	var not *owned.Error
	if errors.As(err, &not) && strings.HasPrefix(not.Why, "belongs to") {
		return "nothing of it was used. Run the command as the user whose folder it is, or name a configuration of your own with --config FILE"
	}
	return `nothing of it was used. If it is yours, let nobody else write to it: "chmod go-w" on what is named; or name a configuration in a folder of your own with --config FILE`
}

// hintLint names the flag for exactly the checks that refused.
func hintLint(e *workflow.LintError) string {
	var flags []string
	for _, f := range e.Findings {
		if flag := "--no-lint " + string(f.Code); !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	return "is it the right file under the right --name and --platform? If it is meant so: " + strings.Join(flags, " ")
}
