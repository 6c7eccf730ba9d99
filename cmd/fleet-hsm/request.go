package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
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

// requestError says which request is the trouble.
type requestError struct {
	file string
	err  error
}

func (e *requestError) Error() string { return e.err.Error() }

func (e *requestError) Unwrap() error { return e.err }

func ofRequest(file string, err error) error {
	if err == nil {
		return nil
	}
	return &requestError{file, err}
}

// judgeRequest tells a request that is merely out of date from one that does not
// verify.
func judgeRequest(err error) verdict {
	var refused *repo.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Kind == repo.ForeignChange:
		return verdict{exitUnverified, string(refused.Kind), "nothing was taken from it; ask whoever sent it which repository it is for"}
	case errors.As(err, &refused):
		return verdict{exitRefused, string(refused.Kind), `nothing was taken from it; make a new one with "fleet-hsm request -o FILE" and have it signed again`}
	case errors.Is(err, repo.ErrExpired):
		return verdict{exitUnverified, "expired", "nothing was signed; have the change staged anew, or check this machine's clock"}
	case errors.Is(err, repo.ErrMetadata), errors.Is(err, ceremony.ErrRequest), errors.Is(err, repo.ErrKey):
		return verdict{exitUnverified, "request", "nothing was signed or taken from it; fetch the file again, and ask who changed it if that does not help"}
	}
	return verdict{exitRefused, "failed", ""}
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
	Signatures []repo.Tallied `json:"signatures"`
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
	if w.Staged == nil {
		return repo.ErrNothingStaged
	}
	hints, err := w.hints()
	if err != nil {
		return err
	}
	q, err := ceremony.New(w.Repo, w.Published, w.Staged, hints)
	if err != nil {
		return err
	}
	if err := w.writeRequest(q, out); err != nil {
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

// freeForRequest refuses, before anything is made, a file that is there already.
func freeForRequest(out string) error {
	if out == "" {
		return nil
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return &repo.RefusedError{Kind: repo.PathTaken, Text: fmt.Sprintf("%q exists already", out)}
	}
	return nil
}

// requestFor writes a change that was just saved into a file, for those who must
// still sign it.
func (w *work) requestFor(c *repo.Change, out string) error {
	if out == "" {
		return nil
	}
	w.Staged = c
	hints, err := w.hints()
	if err != nil {
		return err
	}
	q, err := ceremony.New(w.Repo, w.Published, c, hints)
	if err != nil {
		return err
	}
	if err := w.writeRequest(q, out); err != nil {
		return err
	}
	w.a.note(`wrote %s; "fleet-hsm sign %s" signs it anywhere`, out, filepath.Base(out))
	return nil
}

// writeRequest never replaces a file that is something else, and keeps the signatures
// of one that is the same request.
func (w *work) writeRequest(q *ceremony.Request, out string) error {
	old, err := readRequest(out, w.Repo.Now())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data, err := q.Bytes()
		if err != nil {
			return err
		}
		return atomicfile.Create(out, data, 0o644)
	case err != nil, !q.Same(old):
		return &repo.RefusedError{Kind: repo.PathTaken, Text: fmt.Sprintf("%q exists and is not this request", out)}
	}
	if _, err := q.Change.Merge(old.Change); err != nil {
		return err
	}
	data, err := q.Bytes()
	if err != nil {
		return err
	}
	return atomicfile.Write(out, data, 0o644)
}

// hints says where this machine believes each key of the change to be.
func (w *work) hints() (map[tuf.KeyID]ceremony.Hint, error) {
	hints := map[tuf.KeyID]ceremony.Hint{}
	for _, role := range repo.Roles() {
		keys := w.Staged.Root().Keys(role)
		if d := w.Staged.Doc(role); d != nil {
			keys = d.Keys()
		}
		for _, k := range keys {
			h := ceremony.Hint{Name: w.Config.Keys[k.ID].Name}
			if u, ok := w.Config.Locations[k.ID]; ok {
				h.URI = locator.Of(u.Told())
			}
			att, err := os.ReadFile(w.Keys.AttestationFile(k.ID))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			h.Attestation = string(att)
			if h != (ceremony.Hint{}) {
				hints[k.ID] = h
			}
		}
	}
	return hints, nil
}

// sayHint is where a request says that a key is.
func sayHint(h ceremony.Hint) prompt.Text {
	var parts []prompt.Text
	if h.Name != "" {
		parts = append(parts, prompt.Name(h.Name))
	}
	if !h.URI.IsZero() {
		parts = append(parts, prompt.Path(h.URI.String()))
	}
	return prompt.Join(parts, ", ")
}

// hintsOf is what a request says, as the keychain takes it.
func hintsOf(said map[tuf.KeyID]ceremony.Hint) map[tuf.KeyID]keyring.Hint {
	out := map[tuf.KeyID]keyring.Hint{}
	for id, h := range said {
		out[id] = keyring.Hint{URI: h.URI, Said: sayHint(h).String(), Attestation: h.Attestation}
	}
	return out
}
