package main

import (
	"context"
	"runtime"

	"github.com/fleet-hsm/fleet-hsm/doctor"
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
		reports, err := doctor.Describe(ctx, be, u)
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
