package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/prompt"
)

// helpWidth is the widest that a help page gets; on a narrower terminal it is that wide.
const helpWidth = 80

// flagColumn is where the texts of flags begin at the latest.
const flagColumn = 30

// help writes the page of a command: what it is for, how it is called, examples, its
// commands or flags. The flags that every command has stand on one page, the tool's own.
func (a *app) help(cmd *cobra.Command) {
	p := &page{width: helpWidth}
	if w := a.out.Width(); w > 0 {
		p.width = min(w, helpWidth)
	}
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	p.text(about)
	p.title("Usage")
	if cmd.Runnable() {
		p.line("  ", cmd.UseLine(), "      ")
	}
	if cmd.HasAvailableSubCommands() {
		p.line("  ", cmd.CommandPath()+" COMMAND [flags]", "      ")
	}
	if cmd.Example != "" {
		p.title("Examples")
		p.examples(cmd.Example)
	}
	p.commands(cmd)
	p.flags(cmd)
	p.closing(cmd)
	_, _ = a.out.Raw().Write([]byte(p.b.String()))
}

// page is a help page in the making.
type page struct {
	b     strings.Builder
	width int
}

func (p *page) title(s string) { p.b.WriteString("\n" + s + ":\n") }

// line writes a line that is wrapped below itself.
func (p *page) line(lead, s, below string) {
	for i, l := range prompt.Wrap(s, p.width-len(lead), p.width-len(below)) {
		if i > 0 {
			lead = below
		}
		p.b.WriteString(strings.TrimRight(lead+l, " ") + "\n")
	}
}

// text writes paragraphs. A line that begins with a blank stands for itself.
func (p *page) text(s string) {
	var words string
	flush := func() {
		if words != "" {
			p.line("", words, "")
		}
		words = ""
	}
	for l := range strings.Lines(s) {
		l = strings.TrimRight(l, "\n")
		switch {
		case l == "":
			flush()
			p.b.WriteString("\n")
		case l[0] == ' ':
			flush()
			p.line("", l, "      ")
		default:
			words = strings.TrimLeft(words+" "+l, " ")
		}
	}
	flush()
}

// examples writes commands that can be pasted: a long one goes on behind a backslash, a
// remark stands above it.
func (p *page) examples(s string) {
	s = strings.ReplaceAll(s, " \\\n", " ")
	for l := range strings.Lines(s) {
		l = strings.Join(strings.Fields(l), " ")
		if command, remark, ok := strings.Cut(l, " # "); ok {
			p.line("  # ", remark, "  # ")
			l = command
		}
		p.command(l)
	}
}

// command cuts a command before a flag, or else before a word.
func (p *page) command(s string) {
	lead := "  "
	for len(lead)+len(s) > p.width {
		room := p.width - len(lead) - 2
		cut := strings.LastIndex(s[:min(room+1, len(s))], " --")
		if cut <= 0 || strings.Count(s[:cut], `"`)%2 == 1 {
			cut = lastBlank(s[:min(room+1, len(s))])
		}
		if cut <= 0 {
			break
		}
		p.b.WriteString(lead + s[:cut] + " \\\n")
		s, lead = strings.TrimLeft(s[cut:], " "), "      "
	}
	p.b.WriteString(lead + s + "\n")
}

// lastBlank finds the last one that is not between quotes.
func lastBlank(s string) int {
	last, inside := -1, false
	for i, r := range s {
		switch {
		case r == '"':
			inside = !inside
		case r == ' ' && !inside:
			last = i
		}
	}
	return last
}

// commands lists those below cmd, by who uses them.
func (p *page) commands(cmd *cobra.Command) {
	list := slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
	if len(list) == 0 {
		return
	}
	p.title("Available Commands")
	if len(cmd.Groups()) == 0 {
		p.rows("  ", rowsOf(list))
		return
	}
	for i, g := range cmd.Groups() {
		of := slices.DeleteFunc(slices.Clone(list), func(c *cobra.Command) bool { return c.GroupID != g.ID })
		if i > 0 {
			p.b.WriteString("\n")
		}
		p.b.WriteString(" " + g.Title + "\n")
		inOrder(g.ID, of)
		p.rows("   ", rowsOf(of))
	}
}

func rowsOf(list []*cobra.Command) [][2]string {
	var rows [][2]string
	for _, c := range list {
		rows = append(rows, [2]string{c.Name(), c.Short})
	}
	return rows
}

// rows writes two columns.
func (p *page) rows(lead string, rows [][2]string) {
	column := 0
	for _, r := range rows {
		if n := len(lead) + len(r[0]) + 2; n <= flagColumn {
			column = max(column, n)
		}
	}
	for _, r := range rows {
		head := lead + r[0]
		blank := strings.Repeat(" ", column)
		if len(head)+2 > column {
			p.b.WriteString(head + "\n")
			head = blank
		}
		p.line(head+blank[len(head):], r[1], blank)
	}
}

// flags lists the flags of cmd alone; those of all commands stand on the tool's page.
func (p *page) flags(cmd *cobra.Command) {
	var rows [][2]string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && (f.Name != "help" || !cmd.HasParent()) {
			rows = append(rows, flagRow(f))
		}
	})
	if len(rows) == 0 {
		return
	}
	p.title("Flags")
	p.rows("  ", rows)
}

func flagRow(f *pflag.Flag) [2]string {
	name := "    --" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", --" + f.Name
	}
	what, text := pflag.UnquoteUsage(f)
	if what != "" && f.Value.Type() != "bool" {
		name += " " + strings.ToUpper(strings.TrimSuffix(what, "Array"))
	}
	switch d := f.DefValue; {
	case d == "" || d == "false" || d == "0" || d == "[]" || strings.Contains(text, "(default"):
	case f.Value.Type() == "string":
		text += fmt.Sprintf(" (default %q)", d)
	default:
		text += " (default " + d + ")"
	}
	return [2]string{name, text}
}

func (p *page) closing(cmd *cobra.Command) {
	p.b.WriteString("\n")
	switch {
	case !cmd.HasParent():
		p.text("Every flag of this page goes with every command, and can be given as a variable: $FLEET_HSM_PATH, $FLEET_HSM_NO_INPUT and so on. \"" +
			cmd.CommandPath() + " COMMAND --help\" has each command's own flags, with examples.")
	case cmd.HasAvailableSubCommands():
		p.text("\"" + cmd.CommandPath() + " COMMAND --help\" has each command's flags, with examples.")
	default:
		p.text("Flags of every command, such as --path and --json: \"fleet-hsm --help\".")
	}
}

// helpCommand is "help COMMAND"; an unknown one is an error, with what may be meant.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]...",
		Short: "Show the help of a command",
		Example: `  fleet-hsm help
  fleet-hsm help key generate`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, c := range at.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for _, name := range args {
				i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == name || c.HasAlias(name) })
				if i < 0 {
					return usage(unknown(at, name))
				}
				at = at.Commands()[i]
			}
			a.help(at)
			return nil
		},
	}
}
