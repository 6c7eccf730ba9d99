//go:build linux

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// errorKinds reads from the source every kind that an error can have: the second
// field of a verdict, the first argument of secret() and refused(), and the kinds of
// refusal, which are read where they are declared. A kind that is given in any other
// way fails the test (computedKind).
func errorKinds(t *testing.T) map[string]string {
	t.Helper()
	kinds := map[string]string{}
	for _, glob := range []string{"*.go", "../../repo/meta/errors.go"} {
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
				if code := computedKind(n); code != "" {
					t.Errorf("%s: the kind %s is not a literal; teach this test where it comes from", name, code)
				}
				if kind := hintless(n); kind != "" {
					t.Errorf("%s: the kind %s has no hint", name, kind)
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
		if named(n.Fun, "secret") || named(n.Fun, "refused") {
			return literal(n.Args, 0)
		}
	case *ast.ValueSpec:
		if named(n.Type, "RefusedKind") {
			return literal(n.Values, 0)
		}
	}
	return ""
}

// verdictFields gives the fields of a verdict that is written out.
func verdictFields(n ast.Node) []ast.Expr {
	lit, ok := n.(*ast.CompositeLit)
	if !ok || len(lit.Elts) != 3 {
		return nil
	}
	if id, ok := lit.Type.(*ast.Ident); !ok || id.Name != "verdict" {
		return nil
	}
	return lit.Elts
}

// computedKind gives the source of a verdict's kind that is neither a literal, nor
// the parameter of secret() or refused(), nor a meta.RefusedKind.
func computedKind(n ast.Node) string {
	fields := verdictFields(n)
	if fields == nil {
		return ""
	}
	switch kind := fields[1].(type) {
	case *ast.BasicLit:
		return ""
	case *ast.Ident:
		if kind.Name == "kind" {
			return ""
		}
	case *ast.CallExpr:
		if id, ok := kind.Fun.(*ast.Ident); ok && id.Name == "string" {
			if sel, ok := kind.Args[0].(*ast.SelectorExpr); ok && (sel.Sel.Name == "Kind" || sel.Sel.Name == "ShorterExpiry") {
				return ""
			}
		}
	}
	return types.ExprString(fields[1])
}

// hintless gives the kind of a verdict whose hint is written as nothing.
func hintless(n ast.Node) string {
	fields := verdictFields(n)
	if fields == nil {
		return ""
	}
	if hint, ok := fields[2].(*ast.BasicLit); ok && hint.Value == `""` {
		return types.ExprString(fields[1])
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
