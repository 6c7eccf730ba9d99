package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// reportResult is what doctor --report says with --json.
type reportResult struct {
	Schema  int            `json:"schema"`
	Version string         `json:"version"`
	System  string         `json:"system"`
	Devices []reportDevice `json:"devices"`
}

type reportDevice struct {
	Device string       `json:"device"`
	Facts  []reportFact `json:"facts"`
}

type reportFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// runReport prints what somebody who has no such device needs to know of it.
func (a *app) runReport(ctx context.Context, args []string) error {
	res := reportResult{Schema: 1, Version: version(), System: runtime.GOOS + "/" + runtime.GOARCH, Devices: []reportDevice{}}
	err := a.eachDevice(args, func(be signer.Backend, u signer.URI) (int, error) {
		reports, err := reportsOf(ctx, be, u)
		for _, r := range reports {
			d := reportDevice{Device: r.Device, Facts: []reportFact{}}
			for _, f := range r.Facts {
				d.Facts = append(d.Facts, reportFact{f.Name, f.Value})
			}
			res.Devices = append(res.Devices, d)
		}
		return len(reports), err
	})
	if err != nil {
		return err
	}
	return a.print(res, res.text)
}

// reportsOf asks the back end, or, where it has no report, lists its devices.
func reportsOf(ctx context.Context, be signer.Backend, u signer.URI) ([]signer.Report, error) {
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

func (res reportResult) text(w *prompt.Writer) {
	w.Printf("fleet-hsm %s on %s\n", res.Version, res.System)
	for _, d := range res.Devices {
		w.Printf("%s\n", d.Device)
		for _, f := range d.Facts {
			if f.Value != "" {
				w.Printf("  %s: %s\n", f.Name, f.Value)
			}
		}
	}
}
