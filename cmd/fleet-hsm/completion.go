package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// completer gives what could stand at the cursor.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// complete gives every command's flags and arguments their completion: channels,
// components, platforms, versions, target paths, key names. What cannot be read is
// completed with nothing: completion never complains, asks or writes.
func (a *app) complete(root *cobra.Command) {
	flags := map[string]completer{
		"channel": a.completeRows(func(r meta.Row) string { return r.Channel }),
		"from":    a.completeRows(func(r meta.Row) string { return r.Channel }),
		"to":      a.completeRows(func(r meta.Row) string { return r.Channel }),
		"tag":     a.completeRows(func(r meta.Row) string { return r.Channel }),
		"name":    a.completeRows(func(r meta.Row) string { return r.Name }),
		"version": a.completeRows(func(r meta.Row) string { return r.Version }),
		"platform": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return meta.Platforms(), cobra.ShellCompDirectiveNoFileComp
		},
		"no-lint":  a.completeChecks,
		"remove":   a.completeKeys,
		"key":      a.completeURIs,
		"add":      a.completeURIs,
		"root-key": a.completeURIs, "targets-key": a.completeURIs, "snapshot-key": a.completeURIs, "timestamp-key": a.completeURIs,
		"algorithm": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"ed25519", "p256", "rsa2048", "rsa3072", "rsa4096"}, cobra.ShellCompDirectiveNoFileComp
		},
		"color": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp
		},
		"path": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	args := map[string]completer{
		"fleet-hsm promote":      onlyFirst(a.completeRows(func(r meta.Row) string { return r.Version })),
		"fleet-hsm remove":       a.completeRows(func(r meta.Row) string { return r.Path }),
		"fleet-hsm key show":     a.completeURIs,
		"fleet-hsm key list":     onlyFirst(a.completeURIs),
		"fleet-hsm key export":   onlyFirst(a.completeURIs),
		"fleet-hsm key passwd":   onlyFirst(a.completeURIs),
		"fleet-hsm key generate": onlyFirst(a.completeURIs),
		"fleet-hsm key attest":   a.completeURIs,
		"fleet-hsm doctor":       a.completeURIs,
	}
	walk(root, func(cmd *cobra.Command) {
		for name, f := range flags {
			if fl := own(cmd, name); fl != nil && fl.Value.Type() != "bool" {
				// It fails only for a flag that is not there.
				_ = cmd.RegisterFlagCompletionFunc(name, f)
			}
		}
		if f, ok := args[cmd.CommandPath()]; ok {
			cmd.ValidArgsFunction = f
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		walk(c, visit)
	}
}

// onlyFirst completes the first argument only.
func onlyFirst(f completer) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, typed)
	}
}

// own gives a flag that a command has itself. LocalFlags knows that too, and merges the
// flags of all parents for it: a tenth of what the tool takes to start.
func own(cmd *cobra.Command, name string) *pflag.Flag {
	if fl := cmd.Flags().Lookup(name); fl != nil {
		return fl
	}
	return cmd.PersistentFlags().Lookup(name)
}

// completeRows gives one column of the published targets, each value once; --from,
// --name and --platform that are typed already narrow it.
func (a *app) completeRows(column func(meta.Row) string) completer {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		const no = cobra.ShellCompDirectiveNoFileComp
		p, err := a.repo().Load()
		if err != nil {
			return nil, no
		}
		rows, _, err := p.Targets.Rows()
		if err != nil {
			return nil, no
		}
		from := ""
		if f := cmd.Flags().Lookup("from"); f != nil && f.Changed {
			from = f.Value.String()
		}
		var out []string
		for _, r := range rows {
			v := column(r)
			if v != "" && strings.HasPrefix(v, typed) && (from == "" || r.Channel == from || v == r.Channel) && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
		return out, no
	}
}

// completeChecks gives what --no-lint may name.
func (a *app) completeChecks(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, name := range append([]string{"all"}, workflow.LintChecks()...) {
		if strings.HasPrefix(name, typed) {
			out = append(out, name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeKeys gives key IDs as root lists them, with names and places as remarks.
func (a *app) completeKeys(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const no = cobra.ShellCompDirectiveNoFileComp
	cfg, err := a.config()
	if err != nil {
		return nil, no
	}
	p, err := a.repo().LoadOnline()
	if err != nil {
		return nil, no
	}
	var out []string
	for _, role := range meta.Roles() {
		if len(args) > 0 && meta.IsRole(args[0]) && args[0] != role {
			continue
		}
		for _, k := range p.Root.Keys(role) {
			id := k.ShortID()
			if !strings.HasPrefix(id, typed) {
				continue
			}
			remark := role
			if name := cfg.Keys[k.ID].Name; name != "" {
				remark += " " + name
			} else if u, ok := cfg.Locations[k.ID]; ok {
				remark += " " + u.String()
			}
			out = append(out, id+"\t"+remark)
		}
	}
	return out, no
}

// completeURIs gives the places of the configuration and the key files.
func (a *app) completeURIs(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	offer := func(uri, remark string) {
		if strings.HasPrefix(uri, typed) {
			out = append(out, strings.TrimSuffix(uri+"\t"+remark, "\t"))
		}
	}
	if cfg, err := a.config(); err == nil {
		for id, u := range cfg.Locations {
			offer(u.String(), cfg.Keys[id].Name)
		}
	}
	if keys, err := a.keychain(); err == nil {
		for _, role := range meta.Roles() {
			if keys.Files.Exists(keyring.RoleFile(role)) {
				offer(keyring.RoleFile(role).String(), role)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), cobra.ShellCompDirectiveNoFileComp
}
