package meta

import (
	"fmt"
	"strings"
)

// PatternFault says why a pattern is not one element wide: a star never crosses a slash.
func PatternFault(pattern string) string {
	elements := strings.Split(pattern, "/")
	want := 4
	if elements[0] == "extensions" {
		want = 5
	}
	switch {
	case strings.Contains(pattern, "**"):
		return "means to cross a slash, and a star never does"
	case len(elements) != want:
		return fmt.Sprintf("has %d elements, and targets have %d: a star stays within one", len(elements), want)
	case elements[len(elements)-2] != "*":
		return "has no star in the place of the version"
	}
	for i, e := range elements {
		if e == "" || i != len(elements)-2 && strings.ContainsAny(e, PatternSigns) {
			return "has a star, or another sign with a meaning, beside the version"
		}
	}
	return ""
}

// PatternSigns mean something in a pattern, to one client or another.
const PatternSigns = `*?[]\{}()!+@|^`
