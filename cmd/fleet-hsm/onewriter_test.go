//go:build linux

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOneWriter: words for people leave through package prompt alone. What could go
// round it is named by file: help and completions (app.go, help.go), and commands whose
// output is bytes.
func TestOneWriter(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"Raw":          {"app.go", "help.go", "roots.go", "key_export.go"},
		"os.Stdout":    {"main.go"},
		"os.Stderr":    {"main.go", "secret_command.go"}, // of a person's own command
		"internal/tty": {"secret_command_unix.go"},
	}
	used := map[string]bool{}
	use := func(what, file string, at token.Position) {
		if slices.Contains(allowed[what], file) {
			used[what+file] = true
			return
		}
		t.Errorf("%s: %s goes round package prompt", at, what)
	}
	var files []string
	for _, room := range []string{".", "../../workflow", "../../keyring", "../../remote", "../../status", "../../doctor", "../../review"} {
		list, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: no source (%v)", room, err)
		}
		files = append(files, list...)
	}
	fset := token.NewFileSet()
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Base(path)
		for _, imp := range f.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if path == "log" || path == "text/tabwriter" || path == "golang.org/x/term" {
				use(path, file, fset.Position(imp.Pos()))
			}
			if strings.HasSuffix(path, "internal/tty") {
				use("internal/tty", file, fset.Position(imp.Pos()))
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && isFormat(sel) && len(call.Args) > 0 && !ours(call.Args[0]) {
					t.Errorf("%s: the format is no constant: it would be shown as ours", fset.Position(n.Pos()))
				}
				if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
					use(id.Name, file, fset.Position(n.Pos()))
				}
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := sel.X.(*ast.Ident)
			switch {
			case pkg != nil && pkg.Name == "fmt" && (strings.HasPrefix(sel.Sel.Name, "Print") || strings.HasPrefix(sel.Sel.Name, "Fprint")):
				// Into a buffer is harmless, and rare enough to be named.
				if !slices.Contains(intoBuffers, file) {
					use("fmt."+sel.Sel.Name, file, fset.Position(n.Pos()))
				}
			case pkg != nil && pkg.Name == "os" && (sel.Sel.Name == "Stdout" || sel.Sel.Name == "Stderr"):
				use("os."+sel.Sel.Name, file, fset.Position(n.Pos()))
			case sel.Sel.Name == "Raw":
				use("Raw", file, fset.Position(n.Pos()))
			}
			return true
		})
	}
	for what, files := range allowed {
		for _, file := range files {
			if _, err := os.Stat(file); err == nil && !used[what+file] {
				t.Errorf("%s is allowed in %s and not used there", what, file)
			}
		}
	}
}

// isFormat: methods and functions whose first argument is a format of ours.
func isFormat(sel *ast.SelectorExpr) bool {
	pkg, _ := sel.X.(*ast.Ident)
	return slices.Contains([]string{"say", "note", "warn", "Note", "Warn", "Printf", "Bar"}, sel.Sel.Name) ||
		sel.Sel.Name == "Sprintf" && pkg != nil && pkg.Name == "prompt"
}

// ours reports whether an expression is made of constants, or of a format that was one.
func ours(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return ours(e.X) && ours(e.Y)
	case *ast.Ident:
		return e.Name == "format"
	}
	return false
}

// intoBuffers are files that format into a string, a hash or a page of their own.
var intoBuffers = []string{"unlocked.go", "man.go"}
