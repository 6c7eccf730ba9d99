package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/installer"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

type inspectOptions struct {
	url, caFile string
	offline     bool
}

func (a *app) packageInspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what an installer pins, and whether its root still leads here",
		Long: `inspect reads a .deb, .rpm or .pkg.tar.zst of Fleet's agent, made by this tool or by
fleetctl package: the root inside, its keys, the update URL, channels, versions and
expiry. Then it follows from that root to the present one, as an agent does: in the
repository of --path if there is one, else at --url or the address inside. Exit 4 if it
does not lead there.`,
		Example: `  fleet-hsm package inspect fleet-osquery_1.2.3_amd64.deb
  fleet-hsm package inspect --url https://updates.example.com fleet-osquery-1.2.3-1.x86_64.rpm
  fleet-hsm package inspect --offline old.deb`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runInspect(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "follow to what is served there, not to --path")
	f.StringVar(&o.caFile, "ca-file", "", "PEM certificates to check the server against")
	f.BoolVar(&o.offline, "offline", false, "read the file only")
	return cmd
}

// inspectResult is package inspect with --json.
type inspectResult struct {
	Schema int `json:"schema"`
	*installer.Inspection
	Leads *installer.Leads `json:"leads,omitempty"`
}

func (a *app) runInspect(ctx context.Context, file string, o inspectOptions) error {
	i, err := installer.Inspect(ctx, file, a.now())
	if err != nil {
		return err
	}
	res := inspectResult{Schema: 1, Inspection: i}
	if source := a.inspectSource(i, o); source != "" {
		if res.Leads, err = i.Leads(ctx, verify.Options{Source: source, CAFile: o.caFile, At: a.now()}); err != nil {
			return err
		}
	}
	if err := a.print(res, func(w *prompt.Writer) { showInspection(w, res) }); err != nil {
		return err
	}
	if res.Leads != nil && !res.Leads.OK {
		return &strandedError{file: file, source: res.Leads.Source}
	}
	return nil
}

// strandedError: agents of an installer do not get to the present root. Exit 4.
type strandedError struct{ file, source string }

func (e *strandedError) Error() string {
	return fmt.Sprintf("the root in %q does not lead to the present one of %q", e.file, e.source)
}

// inspectSource is where the present root is; empty for nowhere.
func (a *app) inspectSource(i *installer.Inspection, o inspectOptions) string {
	if o.offline {
		return ""
	}
	if o.url != "" {
		return o.url
	}
	if dir := a.publishedHere(); dir != "" {
		return dir
	}
	return i.ServedAt()
}

func showInspection(w *prompt.Writer, res inspectResult) {
	i := res.Inspection
	w.Printf("%s  %s, %s %s for %s\n", prompt.Path(i.File), i.Type, i.Name, i.Version, i.Arch)
	w.Printf("sha256     %s\n", i.SHA256)
	w.Printf("update URL %s\n", i.UpdateURL)
	if i.FleetURL != "" {
		w.Printf("Fleet URL  %s\n", i.FleetURL)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Channels)) {
		w.Printf("channel    %s %s\n", name, i.Channels[name])
	}
	for _, c := range i.Components {
		w.Printf("inside     %s %s for %s, %s\n", c.Name, c.Version, c.Platform, c.Channel)
	}
	if i.Secret {
		w.Printf("an enroll secret is inside\n")
	}
	for _, r := range i.Roles {
		state := "in " + config.DaysUntil(r.Expires)
		if r.Expired {
			state = "EXPIRED"
		}
		w.Printf("%-10s v%d, expires %s (%s), %d of %d keys\n", r.Role, r.Version, r.Expires.UTC().Format(time.DateOnly), state, r.Threshold, len(r.KeyIDs))
		for _, id := range r.KeyIDs {
			w.Printf("           %s\n", id)
		}
	}
	for _, f := range i.Faults {
		w.Printf("fault: %s\n", f)
	}
	if l := res.Leads; l != nil && l.OK {
		w.Printf("leads from root v%d to v%d, the present one of %s\n", l.From, l.To, l.Source)
	} else if l != nil {
		w.Printf("DOES NOT LEAD to the present root of %s\n%s\n", l.Source, prompt.Join(lines(l.Why), "\n"))
	}
}

func lines(list []string) []prompt.Text {
	var out []prompt.Text
	for _, s := range list {
		out = append(out, prompt.Sprintf("  %s", s))
	}
	return out
}
