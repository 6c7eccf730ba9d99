package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tty"
)

// style is how status is drawn: plain in a pipe, with bars at a terminal.
type style struct {
	bars, colour bool
}

// styleOf looks at where the output goes. NO_COLOR (no-color.org) and TERM=dumb turn
// colour off; nothing is told by colour alone.
func styleOf(w io.Writer) style {
	f, ok := w.(*os.File)
	if !ok || !tty.Is(f) {
		return style{}
	}
	return style{bars: true, colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// barWidth: with it a line fits into the 80 columns of a terminal.
const barWidth = 6

// bar draws how much of its usual time a role has left, green, yellow (to be renewed
// soon) or red (expired).
func (s style) bar(rs roleStatus) string {
	if !s.bars {
		return ""
	}
	n := 0
	if rs.usual > 0 {
		n = int(float64(rs.left) / float64(rs.usual) * barWidth)
	}
	n = min(max(n, 0), barWidth)
	if rs.left > 0 && n == 0 {
		n = 1
	}
	b := "[" + strings.Repeat("#", n) + strings.Repeat(".", barWidth-n) + "] "
	if !s.colour {
		return b
	}
	colour := "32"
	switch {
	case rs.left <= 0:
		colour = "31"
	case rs.left < rs.early:
		colour = "33"
	}
	return "\x1b[" + colour + "m" + b + "\x1b[0m"
}

func (res *statusResult) text(w io.Writer) {
	s := styleOf(w)
	if res.Source != "" {
		fmt.Fprintf(w, "served by %s\n", res.Source)
	}
	for _, rs := range res.Roles {
		fmt.Fprintf(w, "%-9s v%-5d %sexpires %s (%s)  threshold %d of %d\n", rs.Role, rs.Version, s.bar(rs),
			rs.Expires.UTC().Format(time.DateOnly), inDays(rs.Expires), rs.Threshold, len(rs.Keys))
		for _, k := range rs.Keys {
			fmt.Fprintf(w, "          %s%s\n", k.KeyID.Short(), k.words())
		}
	}
	fmt.Fprintf(w, "layout    %s\n", res.layout())
	for _, s := range res.Warnings {
		fmt.Fprintf(w, "WARNING   %s\n", s)
	}
	res.textStaged(w)
}

// words are a key's name, its place and what is known of its birth.
func (k keyStatus) words() string {
	s := ""
	if k.Name != "" {
		s = fmt.Sprintf(" %q", k.Name)
	}
	s += "  " + k.Place
	if k.Signed {
		s += ", signed"
	}
	if k.Proof != "" {
		s += ", " + proofWords(k.Proof)
	}
	return s
}

func (res *statusResult) layout() string {
	if res.Consistent {
		return "consistent snapshots"
	}
	return "flat"
}

func inDays(t time.Time) string {
	if time.Until(t) < 0 {
		return "expired " + daysUntil(t)
	}
	return "in " + daysUntil(t)
}

func (res *statusResult) textStaged(w io.Writer) {
	if res.Staged != nil {
		for _, s := range res.Staged.Intents {
			fmt.Fprintf(w, "staged    %s\n", s)
		}
		for _, rc := range res.Staged.Roles {
			for _, s := range rc.Signatures {
				fmt.Fprintf(w, "          %s v%d: %d of %d signatures (%s)\n", rc.Role, rc.To, s.Have, s.Need, s.By)
			}
		}
	}
	for _, s := range res.Next {
		fmt.Fprintf(w, "next      %s   # %s\n", s.Command, s.Why)
	}
}

// markdown is the same for a wiki or an issue.
func (res *statusResult) markdown(w io.Writer) {
	t := table{head: []string{"role", "version", "expires", "left", "threshold", "keys"}}
	for _, rs := range res.Roles {
		var keys []string
		for _, k := range rs.Keys {
			keys = append(keys, fmt.Sprintf("`%s`%s", k.KeyID.Short(), k.words()))
		}
		t.rows = append(t.rows, []string{rs.Role, fmt.Sprint(rs.Version), rs.Expires.UTC().Format(time.DateOnly), inDays(rs.Expires),
			fmt.Sprintf("%d of %d", rs.Threshold, len(rs.Keys)), strings.Join(keys, "<br>")})
	}
	t.markdown(w)
	list := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s:\n\n", title)
		for _, s := range items {
			fmt.Fprintf(w, "* %s\n", s)
		}
	}
	list("Layout", []string{res.layout()})
	list("Warnings", res.Warnings)
	if res.Staged != nil {
		list("Staged", res.Staged.Intents)
	}
	var next []string
	for _, s := range res.Next {
		next = append(next, fmt.Sprintf("`%s`: %s", s.Command, s.Why))
	}
	list("Next", next)
}
