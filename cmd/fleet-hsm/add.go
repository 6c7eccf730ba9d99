package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type addOptions struct {
	target, name, platform, version string
	tags                            []string
	manifest                        string
	stageOnly, replace              bool
	reviewed                        []string
	allowShorter, unknownPlatform   bool
	noLint                          []string
	keys                            roleKeyFlags
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
	f.StringArrayVarP(&o.tags, "tag", "t", nil, "further channel, such as stable (may be given more than once)")
	f.StringVar(&o.manifest, "manifest", "", "YAML file with a whole release")
	f.BoolVar(&o.stageOnly, "stage-only", false, "stage the change and sign nothing")
	addReviewed(f, &o.reviewed)
	f.BoolVar(&o.replace, "replace", false, "replace a version that is published with other bytes")
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	f.BoolVar(&o.unknownPlatform, "allow-unknown-platform", false, "accept a platform that agents do not ask for")
	f.StringArrayVar(&o.noLint, "no-lint", nil, "switch off a check, the checks of a component, or all (may be given more than once)")
	o.keys = addRoleKeyFlags(f, repo.RoleTargets, repo.RoleSnapshot, repo.RoleTimestamp)
	return cmd
}

// items reads what is to be added from the flags or the manifest, and checks every
// name before anything is touched.
func (o addOptions) items() ([]repo.Item, error) {
	items, err := o.read()
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if _, err := it.Paths(); err != nil {
			return nil, err
		}
		if err := repo.CheckPlatform(it.Platform); err != nil && !o.unknownPlatform {
			return nil, err
		}
	}
	if err := lintNames(o.noLint).check(items); err != nil {
		return nil, err
	}
	return items, repo.CheckItems(items)
}

func (o addOptions) read() ([]repo.Item, error) {
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
	return []repo.Item{{Name: o.name, Platform: o.platform, Version: o.version, Channels: o.tags, File: o.target}}, nil
}

func (a *app) runAdd(ctx context.Context, o addOptions) error {
	items, err := o.items()
	if err != nil {
		return err
	}
	w, err := a.open(ctx, "add")
	if err != nil {
		return err
	}
	defer w.End()
	if err := w.NeedPublished(); err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	if err := w.Published.Expired(w.Repo.Now(), repo.RoleRoot); err != nil {
		return err
	}
	if err := w.Repo.CheckNames(w.Published, w.Staged, items); err != nil {
		return err
	}
	if err := w.Join(o.reviewed, o.stageOnly); err != nil {
		return err
	}
	if !o.stageOnly {
		w.Keys.Prefetch(ctx, w.UI, w.rolesOnlyInFiles(repo.RoleTargets, repo.RoleSnapshot, repo.RoleTimestamp)...)
	}
	list, err := w.place(ctx, items)
	if err != nil {
		return err
	}
	notes, err := w.lint(ctx, list, o.noLint)
	if err != nil {
		return err
	}
	if w.Staged == nil && w.Repo.Holds(w.Published, contents(list)) {
		return a.reportUnchanged("add", notes...)
	}
	opts := w.StageOptions(o.allowShorter)
	opts.Replace = o.replace
	c, err := w.Repo.Add(w.Published, w.Staged, contents(list), opts)
	if err != nil {
		return err
	}
	if o.stageOnly {
		if err := w.StageOnly(c); err != nil {
			return err
		}
		return a.report("add", nil, notes...)
	}
	versions, err := w.Publish(ctx, c, workflow.PublishOptions{AllowShorter: o.allowShorter})
	if err != nil {
		return err
	}
	return a.report("add", versions, notes...)
}

// rolesOnlyInFiles leaves out roles for which a flag or the configuration names
// another place: their files, if any, need not be opened.
func (w *work) rolesOnlyInFiles(roles ...string) []string {
	return slices.DeleteFunc(roles, func(role string) bool {
		if len(w.Keys.URIs[role]) > 0 {
			return true
		}
		return slices.ContainsFunc(w.Published.Root.Keys(role), func(k repo.Key) bool {
			_, elsewhere := w.Config.Locations[k.ID]
			return elsewhere
		})
	})
}

// placed is an item with its bytes; from is the published target that it names, or "".
type placed struct {
	repo.Placed
	from string
}

func contents(list []placed) []repo.Placed {
	out := make([]repo.Placed, len(list))
	for i, p := range list {
		out[i] = p.Placed
	}
	return out
}

// place stages each distinct file once, or finds it among what is published.
func (w *work) place(ctx context.Context, items []repo.Item) ([]placed, error) {
	done := map[string]placed{}
	var out []placed
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if had, ok := done[it.File]; ok {
			it.File = had.Item.File
			had.Item = it
			out = append(out, had)
			continue
		}
		source := it.File
		content, from, below, err := w.Repo.PublishedContent(w.Published, it.File)
		if err != nil {
			return nil, err
		}
		if below {
			it.File = path.Base(from)
		} else if content, err = w.stageFile(ctx, it.File); err != nil {
			return nil, err
		}
		p := placed{repo.Placed{Item: it, Content: content}, from}
		done[source] = p
		out = append(out, p)
	}
	return out, nil
}

func (w *work) stageFile(ctx context.Context, file string) (repo.Content, error) {
	bar := w.a.progress("copying " + filepath.Base(file))
	defer bar.End()
	content, err := w.Repo.Stage(ctx, file, bar.Draw)
	if err != nil && errors.Is(err, context.Canceled) {
		return repo.Content{}, fmt.Errorf("copying %q: %w", file, err)
	}
	return content, err
}
