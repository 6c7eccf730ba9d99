package fleethsm

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of rooms in CONTRIBUTING.md, and the pictures in docs/")

const (
	roomsBegin = "<!-- rooms: go test . -run TestRooms -update -->\n"
	roomsEnd   = "<!-- end of rooms -->\n"
)

type room struct{ lines, exported int }

// rooms measures the parts of the tree that are named in arrows, without their tests.
func rooms(t *testing.T) map[string]room {
	t.Helper()
	out := map[string]room{}
	for _, s := range sources(t) {
		name := part(s.dir)
		if isTest(s) || name == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.dir, s.name))
		if err != nil {
			t.Fatal(err)
		}
		r := out[name]
		r.lines += strings.Count(string(text), "\n")
		r.exported += exported(s.file)
		out[name] = r
	}
	return out
}

// exported counts the names of a file that others may use; methods are not counted.
func exported(f *ast.File) int {
	n := 0
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() {
				n++
			}
		case *ast.GenDecl:
			n += exportedSpecs(d.Specs)
		}
	}
	return n
}

func exportedSpecs(specs []ast.Spec) int {
	n := 0
	for _, s := range specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				n++
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() {
					n++
				}
			}
		}
	}
	return n
}

func roomsTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| room | lines | exported names | may import of ours |\n|---|---:|---:|---|\n")
	measured := rooms(t)
	for _, name := range slices.Sorted(keysOf(measured)) {
		r, may := measured[name], "nothing"
		if list := arrows[name]; len(list) > 0 {
			may = strings.Join(list, ", ")
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s |\n", name, r.lines, r.exported, may)
	}
	return b.String()
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestRooms holds the table of rooms in CONTRIBUTING.md: which there are and what they
// may import to the letter, how large they are within a fifth.
func TestRooms(t *testing.T) {
	page := contributing(t)
	before, rest, ok := strings.Cut(page, roomsBegin)
	have, after, ok2 := strings.Cut(rest, roomsEnd)
	if !ok || !ok2 {
		t.Fatal("CONTRIBUTING.md has no table of rooms")
	}
	want := roomsTable(t)
	if *update {
		if err := os.WriteFile("CONTRIBUTING.md", []byte(before+roomsBegin+want+roomsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !near(have, want) {
		t.Error("the table of rooms in CONTRIBUTING.md is out of date: go test . -run TestRooms -update")
	}
}

// near compares two tables; numbers may differ by a fifth, or by a few.
func near(a, b string) bool {
	number := regexp.MustCompile(`\d+`)
	if number.ReplaceAllString(a, "N") != number.ReplaceAllString(b, "N") {
		return false
	}
	as, bs := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range as {
		x, err := strconv.Atoi(as[i])
		y, err2 := strconv.Atoi(bs[i])
		if err != nil || err2 != nil || max(x, y)-min(x, y) > max(x, y)/5+10 {
			return false
		}
	}
	return true
}

func contributing(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestEachDependencyHasItsReason: one line in CONTRIBUTING.md for each direct module.
func TestEachDependencyHasItsReason(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var direct, named []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		direct = append(direct, m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\* `(\\S+\\.\\S+/\\S+)`: ").FindAllStringSubmatch(contributing(t), -1) {
		named = append(named, m[1])
	}
	slices.Sort(direct)
	slices.Sort(named)
	if len(direct) < 10 || !slices.Equal(direct, named) {
		t.Errorf("go.mod requires\n%s\nand CONTRIBUTING.md gives reasons for\n%s", strings.Join(direct, "\n"), strings.Join(named, "\n"))
	}
}

// TestAnswersAreThere: what the five questions in CONTRIBUTING.md point at is there.
func TestAnswersAreThere(t *testing.T) {
	_, section, ok := strings.Cut(contributing(t), "## Five questions\n")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no five questions")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	if n := strings.Count(section, "?**"); n != 5 {
		t.Errorf("%d questions", n)
	}
	answers := regexp.MustCompile("`([a-z0-9_/-]+\\.go)`: `([A-Za-z.]+)`").FindAllStringSubmatch(section, -1)
	if len(answers) < 5 {
		t.Errorf("only %d answers", len(answers))
	}
	for _, a := range answers {
		if !declares(t, a[1], a[2]) {
			t.Errorf("%s does not declare %s", a[1], a[2])
		}
	}
}

// declares reports whether a file declares a name, or a method as Type.Name.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, 0)
	if err != nil {
		t.Error(err)
		return false
	}
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			found = found || funcName(n) == name
		case *ast.TypeSpec:
			found = found || n.Name.Name == name
		}
		return true
	})
	return found
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}
