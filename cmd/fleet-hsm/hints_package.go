package main

import (
	"errors"

	"github.com/fleet-hsm/fleet-hsm/installer"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

func isElsewhere(err error) bool {
	var e *installer.Error
	return errors.As(err, &e) && e.Kind == installer.Elsewhere
}

// judgePackage says what becomes of a refusal to package.
func judgePackage(err error) (verdict, bool) {
	var e *installer.Error
	if errors.As(err, &e) {
		return packageVerdict(e), true
	}
	if as[*verify.TargetError](err) {
		return verdict{exitUnverified, "target", unchanged(err, `"fleet-hsm verify --all-targets" lists every target that is not what metadata says, and "fleet-hsm pull --targets" brings those that a store has`)}, true
	}
	if as[*strandedError](err) {
		return verdict{exitUnverified, "stranded", `hosts that install it follow nobody, or stop at an old root: "fleet-hsm package" makes a new one; hosts that have it need that one installed by other means`}, true
	}
	return verdict{}, false
}

func packageVerdict(e *installer.Error) verdict {
	switch e.Kind {
	case installer.Elsewhere:
		return verdict{exitUsage, "elsewhere", `the line for it is on stdout; run it where fleetctl is (docs/packages.md). deb, rpm and pkg.tar.zst are made here`}
	case installer.NoTarget:
		return verdict{exitRefused, "no-target", `publish it ("fleet-hsm add", "fleet-hsm promote"), or choose another channel or --arch, or leave out --fleet-desktop; "fleet-hsm list" shows what there is`}
	case installer.NoVersion:
		return verdict{exitRefused, "no-version", `add it again with --version ("fleet-hsm add --target repository/targets/... --replace"); several of them with --stage-only, then "fleet-hsm sign". fleetctl refuses them too`}
	case installer.Archive:
		return verdict{exitRefused, "archive", `publish an archive (.tar.gz) of folders and regular files alone`}
	case installer.Expired:
		return verdict{exitUnverified, "expired", hintExpired(&meta.ExpiredError{Role: e.Role}) + `; then "fleet-hsm publish"`}
	case installer.ExpiresSoon:
		return verdict{exitExpires, "expires-soon", hintExpired(&meta.ExpiredError{Role: e.Role}) + `; --min-days ` + e.Role + `=N asks for less`}
	case installer.Refused:
		return verdict{exitUnverified, "unfit", `"fleet-hsm verify" lists all that is wrong; in a folder of yours "fleet-hsm doctor --mend" puts in order what lies there, "fleet-hsm pull" brings what a store has, "fleet-hsm rotate targets --renew" writes targets and snapshot anew; an installer would pin it for good`}
	case installer.OtherRepository:
		return verdict{exitUnverified, "other-repository", "hosts would follow nobody: name the URL of this repository with --update-url, or the root of that one with --root; --offline does not look, for a URL that does not serve yet"}
	case installer.Behind:
		return verdict{exitRefused, "served-behind", `hosts would refuse what is served as older: "fleet-hsm publish" first, or --offline`}
	case installer.Ahead:
		return verdict{exitRefused, "served-ahead", `this folder is old: "fleet-hsm pull" first, or package what is served with --root FILE outside of the folder`}
	case installer.NotInstaller:
		return verdict{exitRefused, "not-installer", "name a .deb, .rpm or .pkg.tar.zst of Fleet's agent, made by this tool or by fleetctl package"}
	}
	return verdict{exitUsage, "usage", hintHelp}
}
