package fleethsm

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fleet-hsm/fleet-hsm"

// arrows says which of our packages each part of the tree may import; parts that are
// not named may import nothing of ours. "internal" are the leaves: everybody may
// import them, and they import nothing of ours. Tests may use what they judge with.
var arrows = map[string][]string{
	"cmd":             {"config", "prompt", "keyring", "workflow", "remote", "status", "page", "doctor", "review", "repo", "ceremony", "online", "store", "verify", "watch", "installer", "lint", "signer", "internal"},
	"config":          {"signer", "repo", "repo/meta", "internal", "internal/tuf"},
	"workflow":        {"keyring", "repo", "repo/meta", "repo/bundle", "repo/edit", "repo/diff", "ceremony", "config", "lint", "signer", "internal", "internal/tuf"},
	"remote":          {"workflow", "keyring", "repo", "repo/meta", "store", "online", "verify", "watch", "config", "signer", "internal", "internal/tuf"},
	"status":          {"workflow", "keyring", "remote", "repo", "repo/meta", "repo/edit", "repo/diff", "verify", "config", "internal/tuf"},
	"page":            {"status", "repo/meta", "ceremony", "prompt", "internal/tuf"},
	"review":          {"workflow", "repo", "repo/meta", "repo/diff", "prompt", "config", "internal/tuf"},
	"doctor":          {"workflow", "keyring", "repo", "repo/meta", "store", "verify", "signer", "internal", "internal/tuf"},
	"keyring":         {"signer", "repo", "repo/meta", "config", "internal", "internal/tuf"},
	"ceremony":        {"repo", "repo/meta", "repo/bundle", "repo/diff", "internal", "internal/tuf"},
	"online":          {"internal", "internal/tuf"},
	"store":           {"internal", "internal/tuf"},
	"repo":            {"repo/meta", "repo/delegation", "repo/onefile", "internal", "internal/tuf"},
	"repo/onefile":    {"internal"},
	"repo/meta":       {"internal", "internal/tuf"}, // metadata in memory; it reads no file
	"repo/bundle":     {"repo", "repo/meta"},
	"repo/delegation": {"repo/meta"},
	"repo/diff":       {"repo", "repo/meta", "internal/tuf"},
	"repo/edit":       {"repo", "repo/meta", "internal"},
	"repo/repotest":   {"repo", "repo/meta", "repo/edit", "verify", "internal", "internal/tuf"}, // what tests of these share
	"verify":          {"internal"},
	"watch":           {"verify", "ceremony", "internal"},
	"installer":       {"verify", "internal"},
	"lint":            {},
	"signer":          {"internal"},
	"prompt":          {"signer", "config", "internal"},
	"signer/file":     {"signer", "internal"},
	"signer/piv":      {"signer", "internal"},
	"signer/kms":      {"signer", "internal"},

	"signer/pkcs11":     {"signer", "internal"},
	"signer/signertest": {"signer", "internal"},
	"store/s3test":      {}, // a real S3 server, and one that misbehaves
	"store/repotest":    {}, // repositories that a test publishes
	"store/judge":       {}, // the client inside Fleet's agents, as a program
	"softhsm":           {"softhsm", "internal"},
	"softpiv":           {"softpiv", "internal"},
	"mutants":           {},
	"internal":          {},
	"internal/tuf":      {"internal", "internal/tuf"}, // never imported by verify
}

// part gives the longest name in arrows that a path below the module begins with.
func part(rel string) string {
	best := ""
	for name := range arrows {
		if (rel == name || strings.HasPrefix(rel, name+"/")) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

type source struct {
	dir  string // slash-separated, below the module
	name string
	file *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." || strings.HasPrefix(e.Name(), ".") && path != "." || e.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(filepath.Dir(path)), e.Name(), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d files were read; the walk is broken", len(out))
	}
	return out
}

func isTest(s source) bool { return strings.HasSuffix(s.name, "_test.go") }

func TestImportArrows(t *testing.T) {
	for _, s := range sources(t) {
		if isTest(s) || s.dir == "." {
			continue
		}
		from := part(s.dir)
		if from == "" {
			t.Errorf("%s/%s: the folder is not in arrows; say there what it may import", s.dir, s.name)
			continue
		}
		for _, imp := range s.file.Imports {
			rel, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
			if !ours || rel == s.dir {
				continue
			}
			to := part(rel)
			top, _, _ := strings.Cut(to, "/")
			// signer/* import signer, not each other; cmd may import all of them.
			if !slices.Contains(arrows[from], to) && !(from == "cmd" && slices.Contains(arrows[from], top)) {
				t.Errorf("%s/%s imports %s: %s may import %v", s.dir, s.name, rel, from, arrows[from])
			}
		}
	}
}

func TestEveryPackageHasItsDoc(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if isTest(s) {
			continue
		}
		documented[s.dir] = documented[s.dir] || s.file.Doc != nil && len(s.file.Doc.Text()) > 80
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no doc that tells a newcomer what it is", dir)
		}
	}
}

// TestNothingHappensOnImport: no init, and os.Exit in main functions only.
func TestNothingHappensOnImport(t *testing.T) {
	for _, s := range sources(t) {
		if isTest(s) {
			continue
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s/%s has an init function", s.dir, s.name)
			}
			if exits(fn) && (fn.Name.Name != "main" || s.file.Name.Name != "main") {
				t.Errorf("%s/%s: %s calls os.Exit", s.dir, s.name, fn.Name.Name)
			}
		}
	}
}

func exits(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		found = found || ok && pkg.Name == "os" && sel.Sel.Name == "Exit"
		return true
	})
	return found
}

// unsafely are the files that import unsafe, and why they must. Where a library lacks
// something, a public way is found, or another library: nobody's private parts are used.
func unsafely() map[string]string {
	return map[string]string{
		"signer/pkcs11/native.go":         "the module's function list, which the binding keeps to itself: see native",
		"signer/pkcs11/module.go":         "the binding takes a module's initialization string as an unsafe.Pointer",
		"internal/owned/owned_windows.go": "an entry of an access list ends in a SID of any length, of which the binding gives the first bytes",
		"internal/pcsc/card_windows.go":   "a system call of Windows takes addresses as numbers",
	}
}

func TestNobodysPrivateParts(t *testing.T) {
	allowed := unsafely()
	for _, s := range sources(t) {
		path := s.dir + "/" + s.name
		for _, imp := range s.file.Imports {
			if imp.Path.Value == `"unsafe"` && allowed[path] == "" {
				t.Errorf("%s imports unsafe", path)
			}
		}
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//go:linkname") {
					t.Errorf("%s uses go:linkname", path)
				}
			}
		}
	}
}

func TestNoPackageOfLeftovers(t *testing.T) {
	for _, s := range sources(t) {
		for _, e := range strings.Split(s.dir+"/"+strings.TrimSuffix(s.name, ".go"), "/") {
			if slices.Contains([]string{"utils", "util", "common", "manager", "helpers", "misc"}, e) {
				t.Errorf("%s/%s: %q says nothing of what is inside", s.dir, s.name, e)
			}
		}
	}
}

// TestOnlyBackEndsNameTheirKinds: a new kind of key is a folder below signer/ and a line in
// backends.go, so nobody else knows a scheme, or asks a URI for it. Help texts and hints
// may name keys as examples.
func TestOnlyBackEndsNameTheirKinds(t *testing.T) {
	named := regexp.MustCompile(`^(pkcs11|piv|yubikey|pub|kms)$|(^|[^a-z0-9:])(pkcs11|piv|yubikey|pub|kms):|file:keys/`)
	seen := 0
	for _, s := range sources(t) {
		room := part(s.dir)
		if isTest(s) || s.dir == "." || strings.HasPrefix(room, "signer") || room == "softhsm" || room == "softpiv" || room == "mutants" ||
			strings.HasPrefix(s.name, "hints") {
			continue
		}
		seen++
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.KeyValueExpr: // of a command
				id, ok := n.Key.(*ast.Ident)
				return !ok || !slices.Contains([]string{"Example", "Long", "Short"}, id.Name)
			case *ast.BasicLit:
				if v, err := strconv.Unquote(n.Value); err == nil && named.MatchString(v) {
					t.Errorf("%s/%s: %q names a kind of key", s.dir, s.name, v)
				}
			}
			return true
		})
	}
	if seen < 100 {
		t.Errorf("only %d files were looked at", seen)
	}
}

// TestOnlyTheRepositoryWritesMetadata: who else gets hold of a root, of targets or of a
// document that is being signed, reads it and adds signatures, which are verified.
func TestOnlyTheRepositoryWritesMetadata(t *testing.T) {
	writes := []string{"SignWith", "Lend", "NewDoc", "NewEnvelope", "Renumber", "SetKeys", "SetConsistent", "SetDelegated", "Restage", "RestageRoot", "ResignTargets", "StageCold"}
	seen := 0
	for _, s := range sources(t) {
		if isTest(s) || strings.HasPrefix(part(s.dir), "repo") || !slices.ContainsFunc(s.file.Imports, func(imp *ast.ImportSpec) bool {
			return imp.Path.Value == `"`+module+`/repo/meta"`
		}) {
			continue
		}
		seen++
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(writes, sel.Sel.Name) && !external(s.file, sel) {
				t.Errorf("%s/%s writes metadata: %s", s.dir, s.name, sel.Sel.Name)
			}
			return true
		})
	}
	if seen < 20 {
		t.Errorf("only %d files were looked at", seen)
	}
}

// external reports whether a selector is of a package other than repo/meta.
func external(f *ast.File, sel *ast.SelectorExpr) bool {
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name != "meta" && slices.ContainsFunc(f.Imports, func(imp *ast.ImportSpec) bool {
		return strings.HasSuffix(imp.Path.Value, "/"+id.Name+`"`) || imp.Path.Value == `"`+id.Name+`"`
	})
}

// TestOnlyCommandsKnowCobra: flags, help and arguments are the command line's.
func TestOnlyCommandsKnowCobra(t *testing.T) {
	for _, s := range sources(t) {
		for _, imp := range s.file.Imports {
			if strings.HasPrefix(imp.Path.Value, `"github.com/spf13/`) && part(s.dir) != "cmd" {
				t.Errorf("%s/%s imports %s", s.dir, s.name, imp.Path.Value)
			}
		}
	}
}
