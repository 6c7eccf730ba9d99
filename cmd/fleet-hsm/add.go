package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/lint"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type addOptions struct {
	target, name, platform, version string
	tags                            []string
	manifest                        string
	replace, unknownPlatform        bool
	noLint                          []string
	changeFlags
}

func (a *app) addCommand() *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Publish a file, or a whole release, to channels",
		Long: `add copies a file into the repository under its version and further channels
(--tag), and signs targets, snapshot and timestamp once. --manifest takes a whole
release from a YAML file, all or nothing. A --target below repository/targets names
what is published there already; nothing is copied then.

Files are looked at before they are signed. What agents could not run or install is
refused: an executable for another processor or system, an archive that is empty, cut
off or that agents would not unpack, one binary for two platforms. What is merely odd
gets a warning. --no-lint takes a file all the same; it names a check (the word in
square brackets), a component (orbit), or all.`,
		Example: `  fleet-hsm add --target orbit-linux --name orbit --platform linux --version 1.2.3 -t 1 -t stable
  fleet-hsm add --manifest release.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runAdd(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.target, "target", "", "file to publish")
	f.StringVar(&o.name, "name", "", "name of the component: orbit, desktop, osqueryd, extensions/NAME, ...")
	f.StringVar(&o.platform, "platform", "", "linux, linux-arm64, macos, macos-app, windows or windows-arm64")
	f.StringVar(&o.version, "version", "", "version of the file; it is a channel too")
	f.VarP((*many)(&o.tags), "tag", "t", "further channel, such as stable (may be given more than once)")
	f.StringVar(&o.manifest, "manifest", "", "YAML file with a whole release")
	f.BoolVar(&o.replace, "replace", false, "replace a version that is published with other bytes")
	f.BoolVar(&o.unknownPlatform, "allow-unknown-platform", false, "accept a platform that agents do not ask for")
	f.Var((*many)(&o.noLint), "no-lint", "switch off a check, the checks of a component, or all (may be given more than once)")
	o.changeFlags.add(f, meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp)
	return cmd
}

// items reads what is to be added from the flags or the manifest, and checks every
// name before anything is touched.
func (o addOptions) items() ([]meta.Item, error) {
	items, err := o.read()
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if _, err := it.Paths(); err != nil {
			return nil, err
		}
		if err := meta.CheckPlatform(it.Platform); err != nil && !o.unknownPlatform {
			return nil, err
		}
	}
	if err := workflow.CheckNoLint(o.noLint, items); err != nil {
		return nil, err
	}
	return items, meta.CheckItems(items)
}

func (o addOptions) read() ([]meta.Item, error) {
	if o.manifest != "" {
		if o.target != "" || o.name != "" || o.platform != "" || o.version != "" || len(o.tags) > 0 {
			return nil, usagef("--manifest says what to add; --target, --name, --platform, --version and --tag do not go with it")
		}
		return config.ReadManifest(o.manifest)
	}
	for _, f := range []struct{ flag, value string }{
		{"target", o.target}, {"name", o.name}, {"platform", o.platform}, {"version", o.version},
	} {
		if f.value == "" {
			return nil, usagef("--%s is missing (or name a release with --manifest FILE)", f.flag)
		}
	}
	return []meta.Item{{Name: o.name, Platform: o.platform, Version: o.version, Channels: o.tags, File: o.target}}, nil
}

func (a *app) runAdd(ctx context.Context, o addOptions) error {
	items, err := o.items()
	if err != nil {
		return err
	}
	w, err := a.openToChange(ctx, "add", o.changeFlags, rootInForce, func(w *workflow.Session) error {
		return edit.CheckNames(w.Repo, w.Published, w.Staged, items)
	})
	if err != nil {
		return err
	}
	defer w.End()
	if !o.stageOnly {
		w.PrefetchTargets(ctx)
	}
	odd, err := w.OddNames(items)
	if err != nil {
		return err
	}
	c, findings, err := w.Add(ctx, workflow.Addition{Items: items, Unchecked: o.noLint, Replace: o.replace, AllowShorter: o.allowShorter})
	if err != nil {
		return err
	}
	notes := append(a.sayOdd(odd), a.sayFindings(findings)...)
	if c == nil {
		return a.reportUnchanged("add", notes...)
	}
	w.WarnHeavy(c)
	versions, err := w.Finish(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	return a.report("add", versions, notes...)
}

// sayFindings says what is odd; with --json it is for the notes of the result.
func (a *app) sayFindings(findings []lint.Finding) (notes []string) {
	for _, f := range findings {
		if a.json {
			notes = append(notes, workflow.FindingText(f))
		} else {
			a.warn("%s", workflow.FindingText(f))
		}
	}
	return notes
}

// sayOdd warns of names that look like a slip.
func (a *app) sayOdd(odd []string) (notes []string) {
	for _, s := range odd {
		if a.json {
			notes = append(notes, s)
		} else {
			a.warn("%s", s)
		}
	}
	return notes
}
