package main

import (
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// channelRows are the cells of a grid, with its head.
func channelRows(g meta.Grid) [][]string {
	head := []string{"component", "platform"}
	for _, ch := range g.Channels {
		head = append(head, bare(ch))
	}
	rows := [][]string{head}
	for _, l := range g.Lines {
		row := []string{bare(l.Name), bare(l.Platform)}
		for _, v := range l.Versions {
			row = append(row, bare(v))
		}
		rows = append(rows, row)
	}
	return rows
}

// bare is a cell for what targets.json calls something: as it is if it is one word,
// else between quotes, and "-" for nothing.
func bare(s string) string {
	if s == "" {
		return "-"
	}
	return prompt.Path(s).String()
}

func writeTable(w *prompt.Writer, rows [][]string, markdown bool) {
	if markdown {
		w.MarkdownTable(rows)
		return
	}
	w.Table(rows)
}
