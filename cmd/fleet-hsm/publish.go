package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

type publishFlags struct {
	store                          storeFlags
	dryRun, prune, noStamp, review bool
	page                           string
	grace                          config.Duration
	parallel                       int
}

func (a *app) publishCommand() *cobra.Command {
	o := publishFlags{grace: config.Duration(7 * 24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "publish [FOLDER|URL]",
		Short: "Copy repository/ to a folder or bucket, in the only safe order",
		Long: `publish uploads what the store lacks: content first, timestamp.json last and alone.
It refuses, before the first write, a store that is ahead or holds another history, and
reads back as an agent would. Killed or cut off, it goes on where it stopped when it is
run again. A folder is a path, a bucket s3://BUCKET/PREFIX?endpoint=...&region=...`,
		Example: `  fleet-hsm publish /srv/updates
  fleet-hsm publish "s3://updates/fleet?endpoint=https://s3.example.com&region=eu-1"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("grace") && !o.prune {
				return usagef("--grace goes with --prune")
			}
			return a.runPublish(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	o.store.add(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "only show what would be written and deleted")
	f.BoolVar(&o.noStamp, "without-timestamp", false, "leave the timestamp to the online signer (consistent snapshots only)")
	f.BoolVar(&o.review, "recheck", false, "look at every file in the store, also where its metadata says that it is there")
	f.BoolVar(&o.prune, "prune", false, "delete what no metadata of the last --grace names; never an N.root.json")
	f.Var(&o.grace, "grace", "with --prune: keep what was in force within this time")
	takesNothing(f, "grace", "keep only what is in force now")
	f.IntVar(&o.parallel, "parallel", 8, "how many files to send at once")
	f.StringVar(&o.page, "page", "", "write the page of status --html to this file then")
	return cmd
}

type publishResult struct {
	Schema      int               `json:"schema"`
	Credentials string            `json:"credentials,omitempty"`
	Plan        *store.UploadPlan `json:"plan"`
	Done        *store.Result     `json:"done,omitempty"`
	// Changed is false where the store had everything already, and absent elsewhere.
	Changed *bool `json:"changed,omitempty"`
}

func (a *app) runPublish(ctx context.Context, args []string, o publishFlags) error {
	s, loc, err := a.openStore(args, o.store)
	if err == nil && o.page != "" {
		err = a.checkPage(o.page)
	}
	if err != nil {
		return err
	}
	if err := remote.CheckApart(a.path, loc); err != nil {
		return err
	}
	w, err := a.begin(ctx, "publish")
	if err != nil {
		return err
	}
	defer w.End()
	if err := remote.CheckPublishable(w); err != nil {
		return err
	}
	root, err := remote.OldestRoot(a.path)
	if err != nil {
		return err
	}
	who, err := a.sayIdentity(ctx, s)
	if err != nil {
		return err
	}
	progress, done := a.barFor("uploading")
	defer done()
	up, err := remote.PlanUpload(ctx, w, s, remote.PublishOptions{
		Folder: a.path, Root: root, WithoutTimestamp: o.noStamp, Recheck: o.review, Prune: o.prune, Grace: time.Duration(o.grace),
		Parallel: o.parallel, Progress: progress,
	})
	if err != nil {
		a.sayFaults(err)
		return err
	}
	for _, s := range up.Warnings {
		a.warn("%s", s)
	}
	if o.dryRun {
		return a.print(publishResult{Schema: 1, Credentials: who, Plan: up.UploadPlan}, func(out *prompt.Writer) { showPlan(out, up.UploadPlan) })
	}
	result, err := up.Publish(ctx)
	if err != nil {
		done()
		if up.Layout == "consistent" && !errors.Is(err, store.ErrReadBack) {
			a.note("not finished; what agents see is whole")
		}
		return err
	}
	a.afterPublish(up.UploadPlan, result)
	if o.page != "" {
		if err := a.pageOfPublished(w, o.page); err != nil {
			return err
		}
	}
	res := publishResult{Schema: 1, Credentials: who, Plan: up.UploadPlan, Done: &result}
	if result.Files == 0 && result.Deleted == 0 {
		res.Changed = new(bool)
	}
	return a.print(res, func(*prompt.Writer) {})
}

// sayFaults says why a client would refuse what was to be published.
func (a *app) sayFaults(err error) {
	var bad *remote.UnverifiedError
	if !errors.As(err, &bad) {
		return
	}
	for _, f := range bad.Report.Findings {
		if f.Severity == verify.Error {
			a.say("%s", f)
		}
	}
}

func showPlan(w *prompt.Writer, p *store.UploadPlan) {
	for _, it := range p.Items {
		w.Printf("%-8s %-12s %10s  %s\n", it.Change, it.Step, prompt.Size(it.Size), it.Name)
	}
	for _, it := range p.Delete {
		w.Printf("%-8s %-12s %10s  %s\n", "delete", "", prompt.Size(it.Size), it.Name)
	}
	w.Printf("%d files, %s to write; %d there already; %d to delete\n", len(p.Items), prompt.Size(p.Bytes), p.Kept, len(p.Delete))
}

func (a *app) afterPublish(p *store.UploadPlan, r store.Result) {
	a.note("published to %s: %d files, %s written; %d there already; %d deleted", p.Store, r.Files, prompt.Size(r.Bytes), r.Kept, r.Deleted)
	if r.TimestampLeft {
		a.note(`agents see it when a timestamp over it is signed: by "fleet-hsm online", or "fleet-hsm timestamp --store"`)
	}
	if r.TimestampKept {
		a.note("the timestamp in the store is newer than the one here, over the same snapshot, and stays")
	}
}
