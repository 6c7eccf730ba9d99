package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
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

type keysResult struct {
	Schema int             `json:"schema"`
	Keys   []keyring.Entry `json:"keys"`
}

func (a *app) listRootKeys() error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	res := keysResult{Schema: 1}
	for _, role := range meta.Roles() {
		for _, k := range w.Published.Root.Keys(role) {
			s := status.KeyOf(w, role, k)
			alg, err := signer.AlgorithmOf(k.Public)
			if err != nil {
				return err
			}
			res.Keys = append(res.Keys, keyring.Entry{KeyID: k.ID, Algorithm: string(alg), URI: s.Place, Name: s.Name, Roles: []string{role}})
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
	res := keysResult{Schema: 1, Keys: []keyring.Entry{}}
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

// entryOf adds what the repository here, if there is one that can be read, knows of a key.
func (a *app) entryOf(info signer.KeyInfo) keyring.Entry {
	p, err := a.repo().LoadOnline()
	if err != nil {
		return keyring.EntryOf(info, nil)
	}
	return keyring.EntryOf(info, p.Root)
}
