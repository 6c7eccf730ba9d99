package main

import (
	"os"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// signedFile is a file from elsewhere, and the targets that have its bytes.
type signedFile struct {
	File    string   `json:"file"`
	Targets []string `json:"targets"`
}

// signedFiles looks the files up in metadata that was verified; each that no target has is
// a finding. Nothing is looked up in metadata that did not verify.
func signedFiles(report *verify.Report, files []string) ([]signedFile, error) {
	if !report.OK() {
		return nil, nil
	}
	var out []signedFile
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		targets, err := report.Which(f)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		if len(targets) == 0 {
			report.Findings = append(report.Findings, verify.Finding{
				Code: verify.CodeFileNotSigned, Severity: verify.Error, File: name, Text: "targets.json names no target of these bytes",
			})
			continue
		}
		out = append(out, signedFile{File: name, Targets: targets})
	}
	return out, nil
}

func showSignedFiles(w *prompt.Writer, files []signedFile) {
	for _, f := range files {
		for _, target := range f.Targets {
			w.Printf("signed: %q has the bytes of target %q\n", f.File, target)
		}
	}
}
