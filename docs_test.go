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
	fn := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)`)
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

// TestThreatsNamesRealTests holds docs/threats.md: each row of its tables names a test or
// script that is there, or says that nothing defends it.
func TestThreatsNamesRealTests(t *testing.T) {
	page, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, scripts := namesInTree(t)
	known := func(name string) bool { return tests[name] || scripts[name] }
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+|[a-z0-9_-]+\\.txtar)`")
	for _, m := range names.FindAllStringSubmatch(string(page), -1) {
		if !known(m[1]) {
			t.Errorf("docs/threats.md names %s, and no such test exists", m[1])
		}
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "held by") {
			continue
		}
		rows++
		cells := strings.Split(strings.TrimSpace(line), " | ")
		last := cells[len(cells)-1]
		if !names.MatchString(last) && !strings.HasPrefix(last, "not defended") {
			t.Errorf("docs/threats.md: no test holds this row: %.100s", line)
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows were found on the page", rows)
	}
}
