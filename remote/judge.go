package remote

import (
	"context"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Judge is package verify's reading of what a change is built on, and of the change.
type Judge struct{ WebRoot string }

// Published implements [repo.Judge]. What is merely expired is what many a change is for.
func (j Judge) Published() ([]repo.Fault, error) {
	report, err := verify.Run(context.Background(), verify.Options{Source: j.WebRoot, MetadataOnly: true})
	if errors.Is(err, verify.ErrUnreachable) {
		return nil, nil // root.json and all of N.root.json are missing: said elsewhere
	}
	if err != nil {
		return nil, err
	}
	return faultsIn(report.Findings, report.OnlyExpiry), nil
}

// Draft implements [repo.Judge].
func (Judge) Draft(role string, consistent bool, file []byte) []repo.Fault {
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
