//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestManPages: every command that help lists has a page, and no line of one is a request
// that we did not write.
func TestManPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, "man", dir)
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	check(t, err)
	request := regexp.MustCompile(`^\.(TH|SH|TP|nf|fi)\s`)
	also := regexp.MustCompile(`\\fB([^ ]+)\\fP\(1\)`)
	named := map[string]bool{"fleet-hsm": true}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		check(t, err)
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !request.MatchString(line) {
				t.Errorf("%s: a line is a request: %s", filepath.Base(page), line)
			}
		}
		for _, m := range also.FindAllStringSubmatch(string(data), -1) {
			named[strings.ReplaceAll(m[1], `\-`, "-")] = true
		}
	}
	for name := range named {
		if _, err := os.Stat(filepath.Join(dir, name+".1")); err != nil {
			t.Errorf("%s has no page", name)
		}
	}
	if len(named) != len(pages) || len(pages) < 40 {
		t.Errorf("%d pages, and %d commands are named on them", len(pages), len(named))
	}
	if got, want := roff(".a\n'b\nc-d\\n"), "\\&.a\n\\&'b\nc\\-d\\en"; got != want {
		t.Errorf("roff gives %q, want %q", got, want)
	}
}
