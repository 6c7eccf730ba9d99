package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type pullFlags struct {
	store    storeFlags
	root     string
	targets  bool
	parallel int
}

func (a *app) pullCommand() *cobra.Command {
	var o pullFlags
	cmd := &cobra.Command{
		Use:   "pull [URL]",
		Short: "Bring the published metadata here, verified, never backwards",
		Long: `pull brings what is published into repository/: metadata, and with --targets the
content. It is verified from --root, or from the oldest root here, before anything is
written, and a store that is behind this repository is refused. With --root the folder
is made if it is not there.`,
		Example: `  fleet-hsm pull
  fleet-hsm pull s3://updates/fleet --root root.json --targets`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPull(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	o.store.add(f)
	f.StringVar(&o.root, "root", "", "trusted root.json (default: the oldest one here)")
	f.BoolVar(&o.targets, "targets", false, "bring the content too")
	f.IntVar(&o.parallel, "parallel", 8, "how many files to fetch at once")
	return cmd
}

type pullResult struct {
	Schema int `json:"schema"`
	store.PullResult
}

func (a *app) runPull(ctx context.Context, args []string, o pullFlags) error {
	// What is trusted comes from elsewhere, so the folder may be one that is to be made.
	if o.root != "" {
		if err := os.Mkdir(a.path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return usage(fmt.Errorf("--path: %w", err))
		}
	}
	s, _, err := a.openStore(args, o.store)
	if err != nil {
		return err
	}
	root, err := remote.RootToTrust(a.path, o.root)
	if err != nil {
		return err
	}
	r := a.repo()
	lock, err := r.Lock(ctx, "pull", a.lockTimeoutValue())
	if err != nil {
		return err
	}
	defer lock.Unlock()
	progress, done := a.barFor("downloading")
	defer done()
	res, err := remote.Pull(ctx, r, s, remote.PullOptions{Folder: a.path, Root: root, Targets: o.targets, Parallel: o.parallel, Progress: progress})
	if err != nil {
		return err
	}
	if res.GaveWay > 0 {
		a.note("timestamp v%d was signed here and never published: the store's v%d takes its place, and the next one is signed above both", res.GaveWay, res.Versions["timestamp"])
	}
	a.note("pulled %d files, %s from %s", len(res.Files), prompt.Size(res.Bytes), s)
	a.note("published: %s", workflow.VersionsText(res.Versions))
	return a.print(pullResult{1, res}, func(*prompt.Writer) {})
}
