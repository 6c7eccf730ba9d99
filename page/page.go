package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/status"
)

// MaxSize bounds the file, in bytes.
const MaxSize = 200_000

// Limits of what is shown; the rest is counted.
const (
	maxComponents = 120
	maxChannels   = 6
	maxRoots      = 30
	maxEvents     = 40
	maxKeys       = 60
	maxWarnings   = 30
	maxText       = 160 // characters of what others wrote
)

// Input is what the page is made from.
type Input struct {
	// Title says which repository it is.
	Title string
	Now   time.Time
	*status.Report
	// Next are commands as they can be typed, and why.
	Next []Next
	// Targets are the rows of targets.json.
	Targets []meta.Row
	// Roots are the versions of root that are kept, the oldest first.
	Roots []*meta.Root
	// Events are those of the transcript, the oldest first; Transcript says whether there is one.
	Events     []ceremony.Event
	Transcript bool
}

// Next is a command and why it is due.
type Next struct{ Command, Why string }

//go:embed page.html
var text string

//go:embed page.css
var style string

// Make writes the page.
func Make(in Input) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"date": func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"when": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
		"size": Size,
	}).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, view(in)); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	if out.Len() > MaxSize {
		return nil, fmt.Errorf("page: %d bytes, more than %d", out.Len(), MaxSize)
	}
	return out.Bytes(), nil
}

// words is the one way of what others wrote into the page.
func words(s string) string {
	if len(s) > 8*maxText { // Escape need not see what is cut
		s = strings.ToValidUTF8(s[:8*maxText], "")
	}
	s = prompt.Escape(s)
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + "…"
	}
	return s
}

// Size writes a number of bytes as people do.
func Size(n int64) string {
	for _, u := range []struct {
		least int64
		name  string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if n >= u.least {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.least), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
