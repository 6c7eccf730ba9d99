package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/status"
)

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [URI]",
		Short: "List the keys that root names, or those in a file or on a token",
		Example: `  fleet-hsm key list
  fleet-hsm key list file:keys/root.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listRootKeys()
			}
			return a.listKeysAt(cmd.Context(), args[0])
		},
	}
}

// keyEntry is a key with --json.
type keyEntry struct {
	KeyID     tuf.KeyID `json:"keyid,omitzero"`
	Algorithm string    `json:"algorithm,omitempty"`
	URI       string    `json:"uri"`
	Name      string    `json:"name,omitempty"`
	Roles     []string  `json:"roles,omitempty"`
	Problem   string    `json:"problem,omitempty"`
	*provenance
}

type keysResult struct {
	Schema int        `json:"schema"`
	Keys   []keyEntry `json:"keys"`
}

func (a *app) listRootKeys() error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	res := keysResult{Schema: 1}
	for _, role := range repo.Roles() {
		for _, k := range w.Published.Root.Keys(role) {
			s := status.KeyOf(w, role, k)
			alg, err := signer.AlgorithmOf(k.Public)
			if err != nil {
				return err
			}
			res.Keys = append(res.Keys, keyEntry{KeyID: k.ID, Algorithm: string(alg), URI: s.Place, Name: s.Name, Roles: []string{role}})
		}
	}
	return a.print(res, func(out *prompt.Writer) {
		for _, k := range res.Keys {
			out.Printf("%-9s  %s  %-7s  %s\n", k.Roles[0], k.KeyID.Short(), k.Algorithm, k.URI)
		}
	})
}

func (a *app) listKeysAt(ctx context.Context, arg string) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	u, roles, err := a.keyArg(arg)
	if err != nil {
		return err
	}
	infos, err := keys.Describe(ctx, a.person(), u, roles)
	if err != nil {
		return err
	}
	res := keysResult{Schema: 1, Keys: []keyEntry{}}
	for _, info := range infos {
		res.Keys = append(res.Keys, a.entryOf(info))
	}
	return a.print(res, func(out *prompt.Writer) {
		for _, k := range res.Keys {
			if k.Problem != "" {
				out.Printf("%s  unusable: %s\n", k.URI, k.Problem)
				continue
			}
			out.Printf("%s  %-7s  %s\n", k.KeyID.Short(), k.Algorithm, k.URI)
		}
	})
}

// entryOf adds what the repository here, if there is one, knows of a key.
func (a *app) entryOf(info signer.KeyInfo) keyEntry {
	e := keyEntry{Algorithm: string(info.Algorithm), URI: info.URI.String(), Problem: info.Problem}
	if info.Public == nil {
		return e
	}
	e.KeyID = keyring.KeyID(info.Public)
	e.provenance = provenanceOf(info)
	p, err := a.repo().LoadOnline()
	if err != nil {
		return e // no repository here, or one that is not readable: then nothing is known
	}
	if _, roles, ok := p.Root.Key(e.KeyID); ok {
		e.Roles = roles
	}
	return e
}
