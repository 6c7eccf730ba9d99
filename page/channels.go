package page

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// channelView is a table: a component and platform in a row, a named channel in a column.
// Channels that are versions are counted.
type channelView struct {
	Names    []string
	Rows     []componentView
	Targets  int
	Contents int
	Bytes    int64 // of distinct content
	// LeftOut are rows, and OtherChannels named channels, that are not shown.
	LeftOut, OtherChannels int
}

type componentView struct {
	Name, Platform string
	Cells          []cellView
	Kept           int
	Bytes          int64
}

type cellView struct {
	Version string
	Bytes   int64
}

func channelsOf(rows []meta.Row) channelView {
	v := channelView{Targets: len(rows)}
	v.Names, v.OtherChannels = channelNames(rows)
	type component struct{ name, platform string }
	all := map[component]*componentView{}
	content := map[string]int64{}
	mine := map[component]map[string]bool{}
	for _, r := range rows {
		content[r.SHA512] = r.Length
		at := component{r.Name, r.Platform}
		if all[at] == nil {
			all[at] = &componentView{Cells: make([]cellView, len(v.Names))}
			mine[at] = map[string]bool{}
		}
		c := all[at]
		if !mine[at][r.SHA512] {
			mine[at][r.SHA512] = true
			c.Bytes += r.Length
		}
		if i := slices.Index(v.Names, r.Channel); i >= 0 {
			c.Cells[i] = cellView{words(r.Version), r.Length}
		} else {
			c.Kept++
		}
	}
	order := slices.SortedFunc(maps.Keys(all), func(a, b component) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.platform, b.platform))
	})
	for _, at := range order {
		if len(v.Rows) == maxComponents {
			v.LeftOut = len(order) - maxComponents
			break
		}
		c := all[at]
		c.Name, c.Platform = words(at.name), words(at.platform)
		v.Rows = append(v.Rows, *c)
	}
	for i, n := range v.Names {
		v.Names[i] = words(n)
	}
	v.Contents = len(content)
	for _, n := range content {
		v.Bytes += n
	}
	return v
}

// channelNames are the channels that are words, those that most targets are in first; numbers
// are versions that are kept.
func channelNames(rows []meta.Row) (names []string, others int) {
	count := map[string]int{}
	for _, r := range rows {
		if r.Channel != "" && (r.Channel[0] < '0' || r.Channel[0] > '9') {
			count[r.Channel]++
		}
	}
	names = slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	if len(names) > maxChannels {
		others = len(names) - maxChannels
		names = names[:maxChannels]
	}
	slices.Sort(names)
	return names, others
}
