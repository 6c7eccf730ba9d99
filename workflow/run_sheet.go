package workflow

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// RunSheet is a checked transcript.
type RunSheet struct {
	File  string    `json:"file"`
	Lines int       `json:"lines"`
	Last  string    `json:"last"` // SHA-256 of the last line, hex
	Steps []RunStep `json:"steps"`
}

// RunStep is one line of it.
type RunStep struct {
	ceremony.Event
	// Evidence is what the published metadata says of a signature.
	Evidence ceremony.Evidence `json:"evidence,omitempty"`
}

// CheckTranscript checks the chain of a transcript, and its signatures against what is
// published. bad are lines whose signature does not verify; the sheet is whole then too.
func CheckTranscript(r *repo.Repo, file string) (sheet RunSheet, bad []string, err error) {
	events, last, err := ceremony.ReadTranscript(file)
	if errors.Is(err, ceremony.ErrTranscript) {
		return RunSheet{}, nil, err
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return RunSheet{}, nil, misuse.Errorf("transcript %q: %w", file, pe.Err) // it is not there
	}
	if err != nil {
		return RunSheet{}, nil, misuse.Of(err)
	}
	p, err := r.Load()
	if err != nil {
		return RunSheet{}, nil, err
	}
	sheet = RunSheet{File: file, Lines: len(events), Last: last}
	for _, e := range events {
		step := RunStep{Event: e}
		if e.Event == ceremony.EventSignature {
			sig, err := hex.DecodeString(e.Signature)
			if err != nil {
				sig = nil
			}
			if step.Evidence, err = ceremony.EvidenceOf(r, p, e.Role, e.Version, e.SHA256, e.KeyID, sig); err != nil {
				return RunSheet{}, nil, err
			}
			if step.Evidence == ceremony.EvidenceBad {
				bad = append(bad, fmt.Sprintf("line %d: the signature of key %s over %s v%d does not verify", e.Line, e.KeyID.Short(), e.Role, e.Version))
			}
		}
		sheet.Steps = append(sheet.Steps, step)
	}
	return sheet, bad, nil
}
