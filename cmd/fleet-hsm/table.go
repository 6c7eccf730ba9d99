package main

import (
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// table is channels down, components and platforms across, as a release engineer
// thinks of it.
type table struct {
	head []string
	rows [][]string
}

// channelTable leaves out channels that are only the version of what is in them, unless
// versions is set or there are no others; hidden is how many it leaves out.
func channelTable(rows []meta.Row, versions bool) (t table, hidden int) {
	type line struct{ name, platform string }
	type at struct {
		line
		channel string
	}
	var columns []line
	var channels []string
	cell := map[at]string{}
	for _, r := range rows {
		col := line{r.Name, r.Platform}
		if !slices.Contains(columns, col) {
			columns = append(columns, col)
		}
		if !slices.Contains(channels, r.Channel) {
			channels = append(channels, r.Channel)
		}
		cell[at{col, r.Channel}] = r.Version
	}
	// A component and platform a line, a channel a column: names are long and channels
	// are few, but for the versions, which are channels too and come last.
	slices.SortFunc(channels, byChannel)
	if named := withoutVersions(channels, rows); !versions && len(named) > 0 {
		hidden = len(channels) - len(named)
		channels = named
	}
	t = table{head: []string{"component", "platform"}}
	for _, ch := range channels {
		t.head = append(t.head, bare(ch))
	}
	for _, col := range columns {
		row := []string{bare(col.name), bare(col.platform)}
		for _, ch := range channels {
			row = append(row, bare(cell[at{col, ch}]))
		}
		t.rows = append(t.rows, row)
	}
	return t, hidden
}

// withoutVersions gives the channels that are not the version of all that is in them.
func withoutVersions(channels []string, rows []meta.Row) (out []string) {
	named := map[string]bool{}
	for _, r := range rows {
		named[r.Channel] = named[r.Channel] || r.Channel != r.Version
	}
	for _, ch := range channels {
		if named[ch] {
			out = append(out, ch)
		}
	}
	return out
}

// bare is a cell for what targets.json calls something: as it is if it is one word,
// else between quotes, and "-" for nothing.
func bare(s string) string {
	if s == "" {
		return "-"
	}
	return prompt.Path(s).String()
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

func (t table) write(w *prompt.Writer, markdown bool) {
	if markdown {
		t.markdown(w)
		return
	}
	t.text(w)
}

func (t table) text(w *prompt.Writer) {
	w.Table(append([][]string{t.head}, t.rows...))
}

func (t table) markdown(w *prompt.Writer) {
	escape := func(cells []string) string {
		out := slices.Clone(cells)
		for i := range out {
			out[i] = strings.ReplaceAll(out[i], "|", `\|`)
		}
		return "| " + strings.Join(out, " | ") + " |"
	}
	w.Printf("%s\n", escape(t.head))
	w.Printf("%s\n", "|"+strings.Repeat("---|", len(t.head)))
	for _, r := range t.rows {
		w.Printf("%s\n", escape(r))
	}
}
