package meta

import (
	"cmp"
	"slices"
	"strings"
)

// Retention says which versions stay where they are. A version that a channel names always
// does.
type Retention struct {
	// Keep is how many of the newest versions stay, for each component and platform.
	Keep int
	// Pinned are versions that stay whatever their age: "1.2.3", or "orbit/1.2.3" for one
	// component.
	Pinned []string
}

// line is one component on one platform.
type line struct{ name, platform string }

func (re Retention) pins(r Row) bool {
	return slices.Contains(re.Pinned, r.Version) || slices.Contains(re.Pinned, r.Name+"/"+r.Version)
}

// Surplus gives the entries of the versions that nothing keeps.
func (re Retention) Surplus(rows []Row) []Row {
	kept := map[line]map[string]bool{}
	all := map[line][]string{}
	for _, r := range rows {
		l := line{r.Name, r.Platform}
		if kept[l] == nil {
			kept[l] = map[string]bool{}
		}
		if r.Channel != r.Version || re.pins(r) {
			kept[l][r.Version] = true
		}
		if r.Channel == r.Version && !slices.Contains(all[l], r.Version) {
			all[l] = append(all[l], r.Version)
		}
	}
	for l, versions := range all {
		slices.SortFunc(versions, CompareVersions)
		for _, v := range versions[max(0, len(versions)-re.Keep):] {
			kept[l][v] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool {
		return r.Channel != r.Version || kept[line{r.Name, r.Platform}][r.Version]
	})
}

// CompareVersions orders versions as people do: part by part, parts that are numbers by
// their value. A part that is missing comes before a number and after a word, so 1.2-rc1
// stands before 1.2, and 1.2 before 1.2.1.
func CompareVersions(a, b string) int {
	x, y := versionParts(a), versionParts(b)
	for i := range max(len(x), len(y)) {
		if c := comparePart(at(x, i), at(y, i)); c != 0 {
			return c
		}
	}
	return cmp.Compare(a, b)
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}

// versionParts cuts at signs, and between digits and letters.
func versionParts(s string) []string {
	var parts []string
	class := func(r rune) int {
		switch {
		case r >= '0' && r <= '9':
			return 1
		case strings.ContainsRune(".-_+~ ", r):
			return 0
		}
		return 2
	}
	last := 0
	for _, r := range s {
		c := class(r)
		if c != 0 && c == last {
			parts[len(parts)-1] += string(r)
		} else if c != 0 {
			parts = append(parts, string(r))
		}
		last = c
	}
	return parts
}

func comparePart(a, b string) int {
	rank := func(s string) int {
		switch {
		case s == "":
			return 1
		case s[0] >= '0' && s[0] <= '9':
			return 2
		}
		return 0
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 || rank(a) == 1 {
		return c
	}
	if rank(a) == 0 {
		return cmp.Compare(a, b)
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
