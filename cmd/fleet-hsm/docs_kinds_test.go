package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// errorKinds reads from the source every kind that an error can have: the second
// field of a verdict, the first argument of secret(), and the kinds of refusal. Kinds
// that are computed from something else cannot be found here; there is only
// repo.RefusedKind, which is read where it is declared.
func errorKinds(t *testing.T) map[string]string {
	t.Helper()
	kinds := map[string]string{}
	for _, glob := range []string{"*.go", "../../repo/errors.go"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if kind, err := strconv.Unquote(kindIn(n)); err == nil {
					kinds[kind] = name
				}
				return true
			})
		}
	}
	return kinds
}

// kindIn gives the literal of a kind in a piece of source, or "".
func kindIn(n ast.Node) string {
	literal := func(list []ast.Expr, i int) string {
		if i < len(list) {
			if l, ok := list[i].(*ast.BasicLit); ok && l.Kind == token.STRING {
				return l.Value
			}
		}
		return ""
	}
	named := func(e ast.Expr, name string) bool {
		id, ok := e.(*ast.Ident)
		return ok && id.Name == name
	}
	switch n := n.(type) {
	case *ast.CompositeLit:
		if named(n.Type, "verdict") {
			return literal(n.Elts, 1)
		}
	case *ast.CallExpr:
		if named(n.Fun, "secret") {
			return literal(n.Args, 0)
		}
	case *ast.ValueSpec:
		if named(n.Type, "RefusedKind") {
			return literal(n.Values, 0)
		}
	}
	return ""
}

// TestTroubleshooting: every kind of error has an entry in docs/troubleshooting.md,
// with something to read in it, and every entry is of a kind that there is.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	title := ""
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "## ") {
			title = ""
		}
		if h, ok := strings.CutPrefix(line, "### "); ok {
			title = strings.TrimSpace(h)
			continue
		}
		if title != "" {
			entries[title] += line
		}
	}
	kinds := errorKinds(t)
	if len(kinds) < 50 {
		t.Fatalf("only %d kinds were found in the source", len(kinds))
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if len(strings.TrimSpace(entries[kind])) < 30 {
			t.Errorf("%s: kind %q has no entry in docs/troubleshooting.md", kinds[kind], kind)
		}
	}
	for title := range entries {
		if _, ok := kinds[title]; !ok {
			t.Errorf("docs/troubleshooting.md: no error has the kind %q", title)
		}
	}
}
