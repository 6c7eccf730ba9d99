package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// outcome is what became of a fault.
type outcome int

const (
	caught   outcome = iota
	survived         // every test of the package passed
	unfit            // it does not fit its file, or does not compile
)

// verdict is the outcome of one fault, with what the go command printed last.
type verdict struct {
	fault   fault
	outcome outcome
	detail  string
	took    time.Duration
}

// try plants a fault and runs the tests of its package.
func try(ctx context.Context, root string, f fault) verdict {
	start := time.Now()
	v := verdict{fault: f}
	v.outcome, v.detail = judge(ctx, root, f)
	v.took = time.Since(start)
	return v
}

func judge(ctx context.Context, root string, f fault) (outcome, string) {
	broken, err := f.plant(root)
	if err != nil {
		return unfit, err.Error()
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return unfit, err.Error()
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := writeOverlay(dir, root, f.file, broken)
	if err != nil {
		return unfit, err.Error()
	}
	// A fault that does not compile would look like one that was caught. The tests are
	// compiled and linked once for both runs.
	binary := filepath.Join(dir, "package.test")
	if out, err := command(ctx, root, "go", "test", "-c", "-vet=off", "-ldflags=-w", "-overlay", overlay, "-o", binary, f.pkg()); err != nil {
		return unfit, last(out)
	}
	for _, only := range []string{f.hint, "."} {
		if only == "" {
			continue
		}
		where := filepath.Join(root, filepath.FromSlash(filepath.Dir(f.file)))
		out, err := command(ctx, where, binary, "-test.failfast", "-test.timeout", "5m", "-test.run", only)
		if err != nil {
			return caught, last(out)
		}
	}
	return survived, ""
}

// writeOverlay makes the file for the go command's -overlay flag.
func writeOverlay(dir, root, file string, broken []byte) (string, error) {
	replacement := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(replacement, broken, 0o600); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(root, filepath.FromSlash(file)): replacement},
	})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

// command runs a program in a folder. An error other than a failed run, such as a missing
// go command, panics: nothing was judged then.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		panic(err)
	}
	return string(out), err
}

// last gives the lines of a test's output that say what failed.
func last(out string) string {
	var keep []string
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "--- FAIL") || strings.HasPrefix(line, "panic") || strings.Contains(line, ".go:") {
			keep = append(keep, strings.TrimSpace(line))
		}
	}
	if len(keep) > 3 {
		keep = keep[:3]
	}
	return strings.Join(keep, " / ")
}
