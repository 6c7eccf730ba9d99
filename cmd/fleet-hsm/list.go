package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/repo"
)

type listOptions struct {
	names, platforms, channels []string
	markdown, staged           bool
}

func (a *app) listCommand() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show which version each channel has, by component and platform",
		Example: `  fleet-hsm list
  fleet-hsm list --channel stable --markdown`,
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error { return a.runList(o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.names, "name", nil, "only this component (may be given more than once)")
	f.StringArrayVar(&o.platforms, "platform", nil, "only this platform")
	f.StringArrayVar(&o.channels, "channel", nil, "only this channel")
	f.BoolVar(&o.markdown, "markdown", false, "a table for documents")
	f.BoolVar(&o.staged, "staged", false, "as it will be once the staged change is published")
	return cmd
}

type listResult struct {
	Schema  int        `json:"schema"`
	Version int64      `json:"targets_version"`
	Targets []repo.Row `json:"targets"`
	// Others are target paths of another form, which agents do not ask for.
	Others []string `json:"others,omitempty"`
}

func (o listOptions) wants(r repo.Row) bool {
	ok := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	return ok(o.names, r.Name) && ok(o.platforms, r.Platform) && ok(o.channels, r.Channel)
}

func (a *app) runList(o listOptions) error {
	w, err := a.look()
	if err != nil {
		return err
	}
	if err := w.needPublished(); err != nil {
		return err
	}
	t := w.p.Targets
	if o.staged {
		if w.staged == nil || w.staged.Targets() == nil {
			return repo.ErrNothingStaged
		}
		t = w.staged.Targets()
	}
	rows, others, err := t.Rows()
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r repo.Row) bool { return !o.wants(r) })
	res := listResult{Schema: 1, Version: t.Version(), Targets: rows, Others: others}
	if res.Targets == nil {
		res.Targets = []repo.Row{}
	}
	return a.print(res, func(out io.Writer) {
		table := channelTable(rows)
		if o.markdown {
			table.markdown(out)
		} else {
			table.text(out)
		}
		for _, p := range others {
			a.note("not a path that agents ask for: %s", p)
		}
	})
}

// table is channels down, components and platforms across, as a release engineer
// thinks of it.
type table struct {
	head []string
	rows [][]string
}

func channelTable(rows []repo.Row) table {
	var columns, channels []string
	cell := map[string]string{}
	for _, r := range rows {
		col := r.Name + " " + r.Platform
		if !slices.Contains(columns, col) {
			columns = append(columns, col)
		}
		if !slices.Contains(channels, r.Channel) {
			channels = append(channels, r.Channel)
		}
		cell[col+"\x00"+r.Channel] = r.Version
	}
	// A component and platform a line, a channel a column: names are long and channels
	// are few, but for the versions, which are channels too and come last.
	slices.SortFunc(channels, byChannel)
	t := table{head: append([]string{"component", "platform"}, channels...)}
	for _, col := range columns {
		name, platform, _ := strings.Cut(col, " ")
		line := []string{name, platform}
		for _, ch := range channels {
			v := cell[col+"\x00"+ch]
			if v == "" {
				v = "-"
			}
			line = append(line, v)
		}
		t.rows = append(t.rows, line)
	}
	return t
}

// byChannel puts words (edge, stable) before numbers.
func byChannel(a, b string) int {
	digit := func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
	if digit(a) != digit(b) {
		if digit(b) {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

func (t table) text(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(t.head, "\t"))
	for _, r := range t.rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	// The writer below is stdout; an error there is one of the reader's.
	_ = tw.Flush()
}

func (t table) markdown(w io.Writer) {
	escape := func(cells []string) string {
		out := slices.Clone(cells)
		for i := range out {
			out[i] = strings.ReplaceAll(out[i], "|", `\|`)
		}
		return "| " + strings.Join(out, " | ") + " |"
	}
	fmt.Fprintln(w, escape(t.head))
	fmt.Fprintln(w, "|"+strings.Repeat("---|", len(t.head)))
	for _, r := range t.rows {
		fmt.Fprintln(w, escape(r))
	}
}
