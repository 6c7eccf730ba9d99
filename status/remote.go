package status

import (
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// OfRemote says how a repository stands that a server gives out, as far as it verifies.
func OfRemote(rr *remote.Repository, cfg *config.Config, now time.Time) *Report {
	r := &Report{Source: rr.Report.Source, Consistent: rr.Report.ConsistentSnapshot}
	for _, name := range meta.Roles() {
		found, ok := rr.Report.Role(name)
		if !ok || found.Expires.IsZero() {
			continue // it could not be fetched, or does not verify: the findings say which
		}
		role := newRole(cfg, name, found.Version, found.Expires, now)
		role.Threshold, role.Signed = found.Threshold, found.Signed
		if rr.Root != nil {
			for _, k := range rr.Root.Keys(name) {
				role.Keys = append(role.Keys, keyOf(cfg, k))
			}
		}
		r.Roles = append(r.Roles, role)
	}
	r.Warnings = r.expiryWarnings(now)
	for _, f := range rr.Report.Findings {
		if f.Code != verify.CodeExpired && f.Severity != verify.Info {
			r.Warnings = append(r.Warnings, f.String())
		}
	}
	r.Next = r.stepsExpiring(now)
	return r
}
