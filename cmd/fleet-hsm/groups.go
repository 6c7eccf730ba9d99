package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// group is commands that one kind of user needs.
type group struct {
	id, title string
	names     []string
}

// groups are all commands, by who uses them, in the order of the help page. The first
// five are enough for a repository whose keys are in files.
func groups() []group {
	return []group{
		{"first", "The five that matter first", []string{"init", "add", "promote", "publish", "status"}},
		{"publish", "Publish", []string{"timestamp", "remove", "list", "archive", "prune", "gc", "package"}},
		{"keys", "Keys and devices", []string{"key", "token", "rotate", "roots"}},
		{"hands", "Many hands", []string{"review", "sign", "commit", "discard", "request", "attach", "transcript"}},
		{"serve", "Serve and watch", []string{"online", "watch", "verify", "pull"}},
		{"care", "Look after", []string{"doctor", "migrate", "completion", "help", "version"}},
	}
}

// arrange puts the commands into their groups. One that is named nowhere comes last.
func arrange(root *cobra.Command) {
	list := groups()
	for _, g := range list {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
	}
	root.SetHelpCommandGroupID(list[len(list)-1].id)
	root.SetCompletionCommandGroupID(list[len(list)-1].id)
	for _, c := range root.Commands() {
		c.GroupID = list[len(list)-1].id
		for _, g := range list {
			if slices.Contains(g.names, c.Name()) {
				c.GroupID = g.id
			}
		}
	}
}

// inOrder sorts the commands of a group as groups names them.
func inOrder(id string, list []*cobra.Command) {
	for _, g := range groups() {
		if g.id == id {
			slices.SortStableFunc(list, func(a, b *cobra.Command) int {
				return slices.Index(g.names, a.Name()) - slices.Index(g.names, b.Name())
			})
		}
	}
}
