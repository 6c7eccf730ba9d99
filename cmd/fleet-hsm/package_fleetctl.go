package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/installer"
)

// fleetctlLine refuses what only fleetctl makes, with the line that makes it.
func (a *app) fleetctlLine(o *packageOptions) error {
	refused := o.Check()
	if !isElsewhere(refused) {
		return refused
	}
	root := o.root
	if root == "" {
		root = filepath.Join(cmp.Or(a.publishedHere(), a.within("repository")), "root.json")
	}
	if _, err := os.Stat(root); err != nil {
		return usagef("--root: fleetctl's line reads the root from a file, and %q cannot be read", root)
	}
	if a.json {
		return refused
	}
	for _, kind := range o.Elsewhere() {
		for _, arch := range o.Arches {
			a.showLine(o.Fleetctl(kind, arch, root, o.shellSecret()))
			if kind == "pkg" {
				break // one file for both processors
			}
		}
	}
	return refused
}

// shellSecret is how a shell reads the enroll secret from where it is.
func (o *packageOptions) shellSecret() string {
	switch {
	case o.secretFile == "-":
		return `"$(read -rs s </dev/tty; printf %s "$s")"`
	case o.secretFile != "":
		return `"$(cat ` + installer.ShellQuoted(o.secretFile) + `)"`
	case o.secret != "", os.Getenv(secretVariable) != "":
		return `"$` + secretVariable + `"`
	}
	return ""
}

// showLine prints a command that can be pasted: at a terminal, where it would be wrapped,
// with a backslash before each flag.
func (a *app) showLine(words []string) {
	if !a.out.Terminal() {
		a.out.Printf("%s\n", strings.Join(words, " "))
		return
	}
	a.out.Printf("%s", words[0])
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "-") {
			a.out.Printf(" \\\n ")
		}
		a.out.Printf(" %s", w)
	}
	a.out.Printf("\n")
}
