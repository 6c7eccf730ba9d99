package main

import (
	"errors"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

func hintRefused(kind meta.RefusedKind) string {
	switch kind {
	case meta.VersionTaken:
		return "give the new file a new version; agents that have the old one would not notice. --replace publishes it all the same"
	case meta.ShorterExpiry:
		return `is this machine's clock right? "expires:" in the configuration says how long metadata is good; --allow-shorter signs it all the same`
	case meta.ChangeWaits:
		return `"fleet-hsm review" shows the staged change, "fleet-hsm sign" goes on with it where its keys are, "fleet-hsm discard" drops it`
	case meta.PublishedMoved:
		return `"fleet-hsm review" shows the staged change, "fleet-hsm discard" drops it`
	case meta.NotFound:
		return `"fleet-hsm list --versions" shows what is there`
	case meta.OtherDevice:
		return "keep pending/ and repository/ on one file system"
	case meta.MissingContent:
		return `add the file again, or drop the staged change with "fleet-hsm discard"; where a published target has lost its bytes, "fleet-hsm pull --targets" brings them from a store, and "fleet-hsm remove PATH" takes it out`
	case meta.PathTaken:
		return "nothing was published; move it away and run the command again"
	case meta.ThresholdHigh:
		return "name more keys, or a lower --threshold"
	case meta.TimestampKeys:
		return `commit it where the new timestamp key is, without --without-timestamp`
	case meta.UnknownKey:
		return `"fleet-hsm status" lists the key IDs of each role`
	case meta.LastKey:
		return "name the key that takes its place with --add, or the whole new set with --key"
	case meta.DuplicateKey:
		return "a key counts once; name another one"
	case meta.NoChange:
		return `"fleet-hsm list" shows what each channel has, "fleet-hsm status" the keys of each role`
	case meta.FlatLayout:
		return `commit it where the timestamp key is, without --without-timestamp; "fleet-hsm migrate" changes the layout, agents following, when no change waits`
	case meta.TooLarge:
		return `agents read no more than that; take out targets ("fleet-hsm remove") or keys, or lower --threshold`
	case meta.VersionRegress:
		return `is this an old copy of the folder? "fleet-hsm pull" brings the newer state, "fleet-hsm doctor --mend" what lies here`
	case meta.OtherChange:
		return `"fleet-hsm request -o FILE" asks for signatures over this change`
	case meta.ForeignChange:
		return "is --path the repository that it was made for?"
	case meta.UnfinishedState:
		return `"fleet-hsm sign" goes on with it where its keys are; "fleet-hsm discard" drops what an earlier attempt left`
	}
	return hintHistory(kind)
}

// hintNear names what may have been meant.
func hintNear(e *meta.RefusedError) string {
	if e.Near == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q? ", e.Near)
}

func hintMetadata(err error) string {
	var me *meta.FileError
	if errors.As(err, &me) && me.File == "pending/change.json" {
		return `the staged change is damaged; "fleet-hsm discard" drops it`
	}
	if me != nil {
		if hint := hintFile(me.File); hint != "" {
			return hint
		}
	}
	return `"fleet-hsm verify" lists everything that is wrong; restore the file from the published copy if it was damaged here`
}

func hintExpired(err error) string {
	var ee *meta.ExpiredError
	if !errors.As(err, &ee) {
		return `"fleet-hsm status" names the command that renews it`
	}
	switch ee.Role {
	case meta.RoleRoot:
		return `"fleet-hsm rotate root --renew" signs a new one with root's keys, and agents follow`
	case meta.RoleTimestamp:
		return `"fleet-hsm timestamp" signs a new one`
	}
	return `"fleet-hsm rotate targets --renew" signs targets and snapshot again`
}

// judgeRequest tells a request that is merely out of date from one that does not
// verify.
func judgeRequest(err error) verdict {
	var refused *meta.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Kind == meta.ForeignChange:
		return verdict{exitUnverified, string(refused.Kind), "nothing was taken from it; ask whoever sent it which repository it is for"}
	case errors.As(err, &refused) && refused.Kind == meta.NoChange:
		return verdict{exitRefused, string(refused.Kind), `nothing is left to sign or to attach; "fleet-hsm status" shows what is published`}
	case errors.As(err, &refused):
		return verdict{exitRefused, string(refused.Kind), `nothing was taken from it; make a new one with "fleet-hsm request -o FILE" and have it signed again`}
	case errors.Is(err, meta.ErrExpired):
		return verdict{exitUnverified, "expired", "nothing was signed; have the change staged anew, or check this machine's clock"}
	case errors.Is(err, meta.ErrMetadata), errors.Is(err, ceremony.ErrRequest), errors.Is(err, meta.ErrKey):
		return verdict{exitUnverified, "request", "nothing was signed or taken from it; fetch the file again, and ask who changed it if that does not help"}
	}
	return verdict{exitRefused, "failed", hintFailed(err)}
}
