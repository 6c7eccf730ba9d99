package main

import (
	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/review"
)

func (a *app) reviewCommand() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "review [FILE]",
		Short: "Show in plain words what is staged and what a signature would mean",
		Long: `review shows what is staged here and what a signature would mean, or the same of a
request that came from elsewhere (FILE), which needs neither a repository nor a network.
It asks for nothing and writes nothing.`,
		Example: `  fleet-hsm review
  fleet-hsm review change.request --root root.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.requestFrom(cmd.Flags().Changed("path"))
				return a.reviewRequest(args[0], root)
			}
			if root != "" {
				return usagef("--root goes with a request FILE; here the published root is trusted")
			}
			return a.runReview()
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "root.json that the request must lead back to")
	return cmd
}

// reviewResult is the review with --json.
type reviewResult struct {
	Schema int `json:"schema"`
	diff.Review
}

func (a *app) runReview() error {
	w, err := a.look()
	if err != nil {
		return err
	}
	if w.Staged == nil {
		return repo.ErrNothingStaged
	}
	r, err := w.Review(w.Staged)
	if err != nil {
		return err
	}
	return a.printReview(r)
}

func (a *app) printReview(r diff.Review) error {
	return a.print(reviewResult{Schema: 1, Review: r}, func(out *prompt.Writer) { review.Show(out, r, a.keys) })
}
