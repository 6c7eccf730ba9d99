package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

func (a *app) requestCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "request -o FILE",
		Short: "Write what is staged into one file, to be signed on other machines",
		Long: `request writes the staged root and targets, the published roots they follow, the
signatures so far and a description into one file. Whoever has a key runs
"fleet-hsm sign FILE" wherever they are, without repository or network; "fleet-hsm
attach FILE" brings the signatures back. No secret is in the file. Copies may be signed
at the same time.`,
		Example: `  fleet-hsm request -o change.request
  fleet-hsm request -o /media/stick/change.request --json`,
		Args: noArgs,
		RunE: func(_ *cobra.Command, _ []string) error { return a.runRequest(out) },
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write; it must not exist, or be this same request")
	return cmd
}

// requestResult is what request, sign FILE and attach say with --json.
type requestResult struct {
	Schema  int                    `json:"schema"`
	Command string                 `json:"command"`
	Files   []string               `json:"files"`
	Roles   []requestedRole        `json:"roles"`
	Added   map[string][]tuf.KeyID `json:"added,omitempty"` // key IDs by role
}

type requestedRole struct {
	Role       string         `json:"role"`
	Version    int64          `json:"version"`
	Hash       string         `json:"sha256"`
	Signatures []meta.Tallied `json:"signatures"`
}

func (a *app) requested(command string, c *repo.Change, files ...string) requestResult {
	res := requestResult{Schema: 1, Command: command, Files: files}
	for _, d := range c.Docs() {
		res.Roles = append(res.Roles, requestedRole{Role: d.Role(), Version: d.Version(), Hash: d.Hash(), Signatures: d.Tallied()})
	}
	return res
}

func (a *app) runRequest(out string) error {
	if out == "" {
		return usagef("request needs -o FILE")
	}
	w, err := a.look()
	if err != nil {
		return err
	}
	q, err := w.WriteRequest(out)
	if err != nil {
		return err
	}
	for _, d := range q.Change.Docs() {
		if err := w.Keys.Short(d); err != nil {
			a.note("%v", err)
		}
	}
	a.note(`wrote %s; "fleet-hsm sign %s" signs it anywhere, "fleet-hsm attach %s" brings the signatures back`, out, filepath.Base(out), filepath.Base(out))
	return a.print(a.requested("request", q.Change, out), func(*prompt.Writer) {})
}
