package main

import (
	"errors"

	"github.com/fleet-hsm/fleet-hsm/internal/listen"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// judgeOnline judges what the online signer says.
func judgeOnline(err error) (verdict, bool) {
	switch {
	case errors.Is(err, online.ErrOtherRepository):
		return verdict{exitUsage, "state", `name another file with --state; each repository, and each machine, has its own`}, true
	case errors.Is(err, online.ErrState):
		return verdict{exitRefused, "state", `nothing was signed: a signer without a memory can be led back. --state FILE names a place that can be written; a damaged file is moved away only after a look at the store`}, true
	case errors.Is(err, online.ErrLapsed):
		return verdict{exitUnverified, "timestamp-expired", `nothing was signed. If the signer was off that long and nobody has put an older state back: once with --accept-expired`}, true
	case as[*tuf.VersionError](err):
		return verdict{exitUnverified, "version-jump", `nothing was signed. Nobody honest gets there: docs/emergency.md, "A forged version"`}, true
	case errors.Is(err, online.ErrRollback), errors.Is(err, online.ErrDiverged):
		return verdict{exitUnverified, "store-went-back", hintWentBack(err)}, true
	case errors.Is(err, online.ErrExpired):
		return verdict{exitUnverified, "expired", "a new timestamp would only hide it: the keys of that role have to sign first"}, true
	case errors.Is(err, online.ErrUnverified):
		return verdict{exitUnverified, "unverified", `nothing was signed; "fleet-hsm verify URL --root FILE" lists what is wrong`}, true
	case errors.Is(err, online.ErrClock):
		return verdict{exitRefused, "clock", "nothing was signed; set this machine's clock"}, true
	case errors.Is(err, online.ErrShorter):
		return verdict{exitRefused, string(meta.ShorterExpiry), hintRefused(meta.ShorterExpiry)}, true
	case errors.Is(err, online.ErrNoKey):
		return verdict{exitSecret, "no-key", "name the key that root lists for timestamp with --timestamp-key, or in keys: of the configuration"}, true
	case errors.Is(err, listen.ErrAddress):
		return verdict{exitUsage, "usage", `--listen HOST:PORT, such as 127.0.0.1:9471`}, true
	case as[*listen.Error](err):
		return verdict{exitRefused, "listen", `another process may have the address; --listen HOST:PORT names another, --listen "" none`}, true
	case errors.Is(err, online.ErrSign):
		v := judgeKey(err)
		v.code = exitSecret
		return v, true
	case errors.Is(err, online.ErrStore):
		if v, ok := judgeStore(err); ok {
			return v, true
		}
		return verdict{exitRefused, "store", "the store did not answer as it should; " + again(err)}, true
	case errors.Is(err, online.ErrConfig):
		return verdict{exitUsage, "usage", "docs/online.md shows a configuration that works"}, true
	}
	return verdict{}, false
}

// hintWentBack leads out of an older store. Timestamps are signed on the store alone, so
// where it was lost no folder has the newest.
func hintWentBack(err error) string {
	const older = `"fleet-hsm timestamp --store URL --accept-older" signs one above all that was signed here`
	var back *online.RollbackError
	if errors.As(err, &back) && back.Role == meta.RoleTimestamp {
		return `nothing was signed. Put the newest state back ("fleet-hsm publish" from where it is). If that is done, and only timestamps were lost with the store: ` + older
	}
	return `nothing was signed. Put the newest state back ("fleet-hsm publish" from where it is); only if the older one is meant: ` + older
}
