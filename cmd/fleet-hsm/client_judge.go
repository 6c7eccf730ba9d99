package main

import (
	"context"
	"errors"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// clientJudge is package verify's reading of what a change is built on, and of the change.
type clientJudge struct{ web string }

// Published implements [repo.Judge]. What is merely expired is what many a change is for.
func (j clientJudge) Published() ([]repo.Fault, error) {
	report, err := verify.Run(context.Background(), verify.Options{Source: j.web, MetadataOnly: true})
	if errors.Is(err, verify.ErrUnreachable) {
		return nil, nil // root.json and all of N.root.json are missing: said elsewhere
	}
	if err != nil {
		return nil, err
	}
	expired := slices.ContainsFunc(report.Roles, func(r verify.Role) bool { return r.Expired })
	return faultsIn(report.Findings, func(f verify.Finding) bool {
		return f.Code == verify.CodeExpired || f.Code == verify.CodeClient && expired
	}), nil
}

// Draft implements [repo.Judge].
func (clientJudge) Draft(role string, consistent bool, file []byte) []repo.Fault {
	return faultsIn(verify.Draft(role, consistent, file), func(verify.Finding) bool { return false })
}

func faultsIn(findings []verify.Finding, passes func(verify.Finding) bool) []repo.Fault {
	var faults []repo.Fault
	for _, f := range findings {
		if f.Severity == verify.Error && !passes(f) {
			faults = append(faults, repo.Fault{Code: string(f.Code), Role: f.Role, File: f.File, Text: f.Text})
		}
	}
	return faults
}
