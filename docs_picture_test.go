package fleethsm

import (
	"encoding/xml"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictures makes docs/*.svg from the texts beside them, and compares; with -update it
// writes them. In a text there are:
//
//	title TEXT
//	actor NAME: LINE; LINE...   a box, from left to right
//	NAME -> NAME: TEXT          what goes from one to the other, from above to below
func TestPictures(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"where-keys-live", "two-people-sign"} {
		text, err := os.ReadFile(filepath.Join("docs", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		svg := drawn(t, string(text))
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		file := filepath.Join("docs", name+".svg")
		if *update {
			if err := os.WriteFile(file, []byte(svg), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != svg {
			t.Errorf("%s is not what %s.txt says (go test . -run TestPictures -update): %v", file, name, err)
		}
	}
}

// The measures of a picture, in pixels.
const (
	column    = 200
	lineHigh  = 16
	arrowHigh = 44
	top       = 50
)

type picture struct {
	title  string
	names  []string
	boxes  [][]string
	arrows [][3]string
}

func parsePicture(t *testing.T, text string) picture {
	t.Helper()
	var p picture
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		rest, isTitle := strings.CutPrefix(line, "title ")
		actor, isActor := strings.CutPrefix(line, "actor ")
		what, said, _ := strings.Cut(line, ": ")
		from, to, isArrow := strings.Cut(what, " -> ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case isTitle:
			p.title = rest
		case isActor:
			name, lines, _ := strings.Cut(actor, ": ")
			p.names, p.boxes = append(p.names, name), append(p.boxes, strings.Split(lines, "; "))
		case isArrow:
			p.arrows = append(p.arrows, [3]string{from, to, said})
		default:
			t.Fatalf("neither title, actor nor arrow: %q", line)
		}
	}
	return p
}

func (p picture) middle(t *testing.T, name string) int {
	t.Helper()
	for i, n := range p.names {
		if n == name {
			return i*column + column/2
		}
	}
	t.Fatalf("no actor %q", name)
	return 0
}

func drawn(t *testing.T, text string) string {
	t.Helper()
	p := parsePicture(t, text)
	high := 0
	for _, lines := range p.boxes {
		high = max(high, len(lines))
	}
	boxHigh := (high+1)*lineHigh + 16
	below := top + boxHigh
	width, height := len(p.names)*column, below+len(p.arrows)*arrowHigh+24
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="t" font-family="sans-serif" font-size="12">
<title id="t">%s</title>
<style>svg{background:#fff;color:#1f2328}.box{fill:#f6f8fa;stroke:#59636e}.name{font-weight:bold}text{fill:currentColor;text-anchor:middle}.line{stroke:#59636e;stroke-dasharray:3 4}.arrow{stroke:#0969da;stroke-width:1.5;fill:none}.head{fill:#0969da}.said{fill:#fff;opacity:.85}
@media(prefers-color-scheme:dark){svg{background:#0d1117;color:#f0f6fc}.box{fill:#151b23;stroke:#9198a1}.line{stroke:#9198a1}.arrow{stroke:#4493f8}.head{fill:#4493f8}.said{fill:#0d1117}}</style>
<text x="%d" y="28" font-size="16" class="name">%s</text>
`, width, height, html.EscapeString(p.title), width/2, html.EscapeString(p.title))
	for i, name := range p.names {
		x := i*column + column/2
		fmt.Fprintf(&b, "<line class=\"line\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", x, below, x, height-12)
		fmt.Fprintf(&b, "<rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", x-column/2+6, top, column-12, boxHigh)
		fmt.Fprintf(&b, "<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>\n", x, top+lineHigh+4, html.EscapeString(name))
		for j, line := range p.boxes[i] {
			fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n", x, top+(j+2)*lineHigh+6, html.EscapeString(line))
		}
	}
	for i, a := range p.arrows {
		y := below + (i+1)*arrowHigh
		from, to := p.middle(t, a[0]), p.middle(t, a[1])
		at := (from + to) / 2
		if from == to {
			fmt.Fprintf(&b, "<circle class=\"head\" cx=\"%d\" cy=\"%d\" r=\"4\"/>\n", from, y)
		} else {
			tip := 8
			if to < from {
				tip = -8
			}
			fmt.Fprintf(&b, "<path class=\"arrow\" d=\"M%d %dH%d\"/><path class=\"head\" d=\"M%d %dl%d -5v10z\"/>\n", from, y, to, to, y, -tip)
		}
		half := len(a[2])*6/2 + 4
		at = min(max(at, half), width-half)
		fmt.Fprintf(&b, "<rect class=\"said\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"15\"/><text x=\"%d\" y=\"%d\">%s</text>\n", at-half, y-20, 2*half, at, y-8, html.EscapeString(a[2]))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
