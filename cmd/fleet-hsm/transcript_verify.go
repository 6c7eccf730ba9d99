package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/review"
	"github.com/fleet-hsm/fleet-hsm/status"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

func (a *app) transcriptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "transcript",
		Short: "Check the log of a ceremony",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "verify FILE",
		Short: "Check the chain of a log and its signatures against what is published",
		Long: `verify checks that no line of the log was altered, taken out or put in, and each
signature in it against the metadata published in --path. It prints a run sheet
(markdown): who did what, when, with which device. Whether lines are missing at the
end shows only if the last hash was noted elsewhere; it is printed for that.`,
		Example: `  fleet-hsm transcript verify ceremony.log
  fleet-hsm transcript verify ceremony.log > runsheet.md`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.runTranscriptVerify(args[0]) },
	})
	return cmd
}

// runSheet is transcript verify with --json.
type runSheet struct {
	Schema int `json:"schema"`
	workflow.RunSheet
	// Roots is what each version of root that is kept changed.
	Roots []status.RootChange `json:"roots"`
}

func (a *app) runTranscriptVerify(file string) error {
	sheet, bad, err := workflow.CheckTranscript(a.repo(), file)
	if err != nil {
		return err
	}
	roots, err := a.rootChanges()
	if err != nil {
		return err
	}
	res := runSheet{1, sheet, roots}
	if err := a.print(res, res.markdown); err != nil {
		return err
	}
	if len(bad) > 0 {
		return &ceremony.TranscriptError{File: file, Reason: strings.Join(bad, "; ")}
	}
	return nil
}

// rootChanges says what each version of root in the folder changed.
func (a *app) rootChanges() ([]status.RootChange, error) {
	w, err := a.lookPublished()
	if err != nil {
		return nil, err
	}
	roots, err := w.Repo.Roots(w.Published)
	if err != nil {
		return nil, err
	}
	return status.RootChanges(roots, func(id tuf.KeyID) string {
		if name := w.Config.Keys[id].Name; name != "" {
			return fmt.Sprintf("%s (%s)", id.Short(), name)
		}
		return id.Short()
	}), nil
}

func (s runSheet) markdown(w *prompt.Writer) {
	w.Printf("# Run sheet of %s\n\n", cell(s.File))
	w.Printf("| line | time (UTC) | step | who, or which key and device | what | SHA-256 |\n")
	w.Printf("|---|---|---|---|---|---|\n")
	for _, e := range s.Steps {
		w.Printf("| %d | %s | %s | %s | %s | %s |\n", e.Line, e.Time.UTC().Format("2006-01-02 15:04:05"), stepText(e), cell(whoText(e)), cell(whatText(e)), strings.Join(review.Groups(e.SHA256), " "))
	}
	w.Printf("\n%d lines. The chain holds. SHA-256 of the last line, to be compared with what was noted on paper:\n\n", s.Lines)
	for _, line := range review.Groups(s.Last) {
		w.Printf("    %s\n", line)
	}
	w.Printf("\n## What each root version changed\n\n| root | expires | changes |\n|---|---|---|\n")
	for _, r := range s.Roots {
		w.Printf("| v%d | %s | %s |\n", r.Version, r.Expires.Format("2006-01-02"), cell(strings.Join(r.Changes, "; ")))
	}
}

func stepText(e workflow.RunStep) string {
	if e.Evidence == "" {
		return cell(e.Event.Event)
	}
	return cell(e.Event.Event) + ", " + strings.ReplaceAll(string(e.Evidence), "-", " ")
}

func whoText(e workflow.RunStep) string {
	switch e.Event.Event {
	case ceremony.EventStart:
		return e.Person + " on " + e.Machine
	case ceremony.EventSignature:
		s := fmt.Sprintf("%s %s", e.KeyID.Short(), e.Key)
		if e.Attestation != "" {
			s += fmt.Sprintf(" (attestation %.16s)", e.Attestation)
		}
		return s
	}
	return ""
}

func whatText(e workflow.RunStep) string {
	switch e.Event.Event {
	case ceremony.EventNote:
		return e.Note
	case ceremony.EventStart:
		return "fleet-hsm " + e.Command
	case ceremony.EventEnd:
		return e.Outcome
	case ceremony.EventCommit:
		return workflow.VersionsText(e.Published)
	}
	return fmt.Sprintf("%s v%d", e.Role, e.Version)
}

// cell makes a text fit for a table: others may have written it.
func cell(s string) string { return strings.ReplaceAll(prompt.Escape(s), "|", `\|`) }
