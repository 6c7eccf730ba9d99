package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Describe says what a report on a device needs, and nothing secret: it asks the back end, or, where it has no report, lists its devices.
func Describe(ctx context.Context, be signer.Backend, u signer.URI) ([]signer.Report, error) {
	if r, ok := be.(signer.Reporter); ok {
		return r.Report(ctx, u)
	}
	tokens, err := be.(signer.Tokener).Tokens(ctx, u)
	var out []signer.Report
	for _, t := range tokens {
		out = append(out, signer.Report{Device: strings.TrimSpace(t.Manufacturer + " " + t.Model), Facts: []signer.Fact{
			{Name: "kind", Value: t.Kind},
			{Name: "module", Value: t.Module},
			{Name: "firmware", Value: t.Firmware},
			{Name: "flags", Value: strings.Join(t.Flags, ", ")},
			{Name: "sessions", Value: fmt.Sprint(t.MaxSessions)},
			{Name: "problem", Value: t.Problem},
		}})
	}
	return out, err
}
