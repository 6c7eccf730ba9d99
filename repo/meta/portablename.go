package meta

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Agents ask for a target by its path, and any web server may give it out: one on
// Windows or macOS, too. There two names that differ only in case are one file, and some
// names are none. New paths that could not be held are refused; those that fleetctl has
// published stay, with a warning.

// UnportableNames gives what is wrong with paths that are published, one line for each
// element, for a warning.
func (t *Targets) UnportableNames() []string {
	s := &Spelling{}
	var out []string
	for _, p := range t.Paths() {
		if err := s.Take(p); err != nil && !slices.Contains(out, err.Error()) {
			out = append(out, err.Error())
		}
		s.add(p)
	}
	return out
}

// Spelling knows how each folder and file is written, by its name in lower case.
type Spelling struct {
	known map[string]string
	paths map[string]bool
}

// Spellings knows the paths that are there already.
func Spellings(t *Targets) *Spelling {
	s := &Spelling{}
	for p := range t.entries {
		s.add(p)
	}
	return s
}

func (s *Spelling) add(p string) {
	if s.known == nil {
		s.known, s.paths = map[string]string{}, map[string]bool{}
	}
	s.paths[p] = true
	for ; p != "."; p = path.Dir(p) {
		fold := strings.ToLower(p)
		if s.known[fold] == p {
			return // and so are the folders above it
		}
		if s.known[fold] == "" {
			s.known[fold] = p
		}
	}
}

// Take refuses a new path, or adds it. Paths that are there already are taken.
func (s *Spelling) Take(p string) error {
	if s.paths[p] {
		return nil
	}
	at := ""
	for e := range strings.SplitSeq(p, "/") {
		if why := unportable(e); why != "" {
			return &NameError{What: "target path", Value: p, Reason: why}
		}
		at = path.Join(at, e)
		if other := s.known[strings.ToLower(at)]; other != "" && other != at {
			return &NameError{What: "target path", Value: p, Reason: fmt.Sprintf("differs only in case from %q, which is there already: web roots on Windows and macOS hold one of the two", other)}
		}
	}
	s.add(p)
	return nil
}

// unportable says why Windows cannot hold a file or folder of this name, or "".
func unportable(e string) string {
	if i := strings.IndexAny(e, `:"|*`); i >= 0 {
		return fmt.Sprintf("holds %q, which no name on Windows may hold", e[i])
	}
	if strings.HasSuffix(e, ".") || strings.HasSuffix(e, " ") {
		return fmt.Sprintf("has the element %q, whose last character Windows drops", e)
	}
	stem, _, _ := strings.Cut(strings.ToLower(e), ".")
	stem = strings.TrimRight(stem, " ")
	device := slices.Contains([]string{"con", "prn", "aux", "nul", "conin$", "conout$"}, stem)
	port := len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '0' && stem[3] <= '9'
	if device || port {
		return fmt.Sprintf("has the element %q, which is a device on Windows", e)
	}
	return ""
}
