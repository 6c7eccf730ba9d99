package prompt

import (
	"slices"
	"strings"
)

// MarkdownTable prints rows as a table of markdown; the first is its head.
func (w *Writer) MarkdownTable(rows [][]string) {
	for i, row := range rows {
		cells := slices.Clone(row)
		for j := range cells {
			cells[j] = strings.ReplaceAll(cells[j], "|", `\|`)
		}
		w.Printf("%s\n", "| "+strings.Join(cells, " | ")+" |")
		if i == 0 {
			w.Printf("%s\n", "|"+strings.Repeat("---|", len(row)))
		}
	}
}
