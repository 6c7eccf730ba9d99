package meta

import (
	"slices"
	"strings"
)

// Grid is targets as a release engineer thinks of them: a component and platform a line, a
// channel a column; names are long and channels are few, but for the versions, which are
// channels too and come last.
type Grid struct {
	Channels []string
	Lines    []GridLine
}

// GridLine is a component on a platform.
type GridLine struct {
	Name, Platform string
	Versions       []string // one for each channel, "" for none
}

// Channels arranges rows. Channels that are only the version of what is in them are left
// out, unless versions is set or there are no others; hidden is how many are.
func Channels(rows []Row, versions bool) (g Grid, hidden int) {
	for _, r := range rows {
		if !slices.Contains(g.Channels, r.Channel) {
			g.Channels = append(g.Channels, r.Channel)
		}
	}
	slices.SortFunc(g.Channels, byChannel)
	if named := withoutVersions(g.Channels, rows); !versions && len(named) > 0 {
		hidden = len(g.Channels) - len(named)
		g.Channels = named
	}
	for _, r := range rows {
		i := slices.IndexFunc(g.Lines, func(l GridLine) bool { return l.Name == r.Name && l.Platform == r.Platform })
		if i < 0 {
			i = len(g.Lines)
			g.Lines = append(g.Lines, GridLine{r.Name, r.Platform, make([]string, len(g.Channels))})
		}
		if at := slices.Index(g.Channels, r.Channel); at >= 0 {
			g.Lines[i].Versions[at] = r.Version
		}
	}
	return g, hidden
}

// withoutVersions gives the channels that are not the version of all that is in them.
func withoutVersions(channels []string, rows []Row) (out []string) {
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
