package fleethsm

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCompatNamesRealTests holds docs/compat.md: every test, script and path that it
// names is there.
func TestCompatNamesRealTests(t *testing.T) {
	page, err := os.ReadFile("docs/compat.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, scripts := namesInTree(t)
	checked := 0
	for _, m := range regexp.MustCompile("`([A-Za-z0-9_./-]+)`").FindAllStringSubmatch(string(page), -1) {
		name := m[1]
		switch {
		case strings.HasPrefix(name, "Test"):
			if !tests[name] {
				t.Errorf("docs/compat.md names %s, and no such test exists", name)
			}
		case strings.HasSuffix(name, ".txtar"):
			if !scripts[name] {
				t.Errorf("docs/compat.md names %s, and no such script exists", name)
			}
		case strings.HasPrefix(name, "compat/"), strings.HasPrefix(name, "scripts/"):
			if _, err := os.Stat(name); err != nil {
				t.Errorf("docs/compat.md names %s: %v", name, err)
			}
		default:
			continue
		}
		checked++
	}
	if checked < 20 {
		t.Errorf("only %d names were found on the page", checked)
	}
}

// namesInTree lists the test functions and scripts of every module.
func namesInTree(t *testing.T) (tests, scripts map[string]bool) {
	t.Helper()
	tests, scripts = map[string]bool{}, map[string]bool{}
	fn := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)`)
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".txtar") {
			scripts[e.Name()] = true
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		for _, m := range fn.FindAllSubmatch(src, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, scripts
}
