package workflow

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/lint"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// LintError: files that agents could not run or install where they were to be
// published. Every finding is named, not the first only.
type LintError struct{ Findings []lint.Finding }

// LintHeading stands above its findings.
const LintHeading = "agents could not use this; nothing was published:"

func (e *LintError) Error() string {
	lines := []string{LintHeading}
	for _, f := range e.Findings {
		lines = append(lines, "  "+FindingText(f))
	}
	return strings.Join(lines, "\n")
}

// FindingText is a finding in a line.
func FindingText(f lint.Finding) string {
	return fmt.Sprintf("%s for %s, %q: %s [%s]", f.Name, f.Platform, f.Path, f.Text, f.Code)
}

// lintNames are the values of --no-lint: a check, a component that is added, or all.
type lintNames []string

func (n lintNames) all() bool { return slices.Contains(n, "all") }

// CheckNoLint refuses a value of --no-lint that would switch off nothing: most often it is
// misspelt.
func CheckNoLint(names []string, items []meta.Item) error {
	checks := LintChecks()
	for _, name := range names {
		component := func(it meta.Item) bool { return it.Name == name }
		if name != "all" && !slices.Contains(checks, name) && !slices.ContainsFunc(items, component) {
			return misuse.Errorf("--no-lint %q is neither a check (%s), nor a component that is added here, nor all", name, strings.Join(checks, ", "))
		}
	}
	return nil
}

// keep leaves out the findings that were switched off.
func (n lintNames) keep(findings []lint.Finding) []lint.Finding {
	return slices.DeleteFunc(findings, func(f lint.Finding) bool {
		return slices.Contains(n, string(f.Code)) || slices.Contains(n, f.Name)
	})
}

// lint looks at what was staged: at the very bytes that would be signed, before
// anybody is asked for a key.
func (w *Session) lint(ctx context.Context, items []stagedFile, off lintNames) ([]lint.Finding, error) {
	if off.all() {
		return nil, nil
	}
	items = slices.DeleteFunc(slices.Clone(items), func(it stagedFile) bool { return slices.Contains(off, it.Item.Name) })
	var findings []lint.Finding
	var release []lint.Item
	for _, it := range items {
		found, err := w.lintFile(ctx, it)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
		release = append(release, lint.Item{
			Name: it.Item.Name, Platform: it.Item.Platform, Path: it.Item.File,
			Size: it.Content.Length, SHA512: it.Content.SHA512, R: w.reader(ctx, it.Content),
		})
	}
	findings = append(findings, lint.Release(release)...)
	return judgeFindings(off.keep(findings))
}

// judgeFindings refuses errors, and gives the warnings.
func judgeFindings(findings []lint.Finding) (warnings []lint.Finding, err error) {
	var refused []lint.Finding
	for _, f := range findings {
		if f.Severity == lint.Error {
			refused = append(refused, f)
		} else {
			warnings = append(warnings, f)
		}
	}
	if len(refused) > 0 {
		return nil, &LintError{refused}
	}
	return warnings, nil
}

// lintFile looks at one file. What is published for this component and platform
// already stays promotable, whatever it is.
func (w *Session) lintFile(ctx context.Context, it stagedFile) ([]lint.Finding, error) {
	name, platform, _, _, ok := meta.SplitPath(it.from)
	if ok && name == it.Item.Name && platform == it.Item.Platform {
		return nil, nil
	}
	r := w.reader(ctx, it.Content)
	f, err := w.Repo.OpenContent(w.Published, it.Content)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r.file = f
	r.bar = w.opts.Talk.Progress("checking " + path.Base(it.Item.File))
	defer r.bar.End()
	findings := lint.File(r, it.Content.Length, it.Item.Name, it.Item.Platform, it.Item.File)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("checking %q: %w", it.Item.File, err)
	}
	return append(findings, w.elsewhere(it)...), nil
}

// elsewhere warns of bytes that are published for another platform already: one of
// the two is the wrong file, and it may be the published one.
func (w *Session) elsewhere(it stagedFile) []lint.Finding {
	var found []lint.Finding
	for _, p := range w.Published.Targets.PathsOf(it.Content.SHA512) {
		name, platform, _, _, ok := meta.SplitPath(p)
		if !ok || name != it.Item.Name || platform == it.Item.Platform {
			continue
		}
		found = append(found, lint.Finding{
			Code: lint.CodeSameBytes, Severity: lint.Warning, Name: it.Item.Name, Platform: it.Item.Platform, Path: it.Item.File,
			Text: fmt.Sprintf("the same bytes are published as %q", p),
		})
		break
	}
	return found
}

func (w *Session) reader(ctx context.Context, c repo.Content) *contentReader {
	return &contentReader{ctx: ctx, size: c.Length, open: func() (*os.File, error) { return w.Repo.OpenContent(w.Published, c) }}
}

// contentReader reads the bytes of a content; it ends with the command, and keeps a
// file open only while one look goes on.
type contentReader struct {
	ctx  context.Context
	open func() (*os.File, error)
	file *os.File // nil: opened for each read
	size int64
	bar  Progress // may be nil
}

func (r *contentReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.bar != nil {
		r.bar.Draw(min(off+int64(len(p)), r.size), r.size)
	}
	if r.file != nil {
		return r.file.ReadAt(p, off)
	}
	f, err := r.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	return f.ReadAt(p, off)
}

// LintChecks are the names of the checks.
func LintChecks() []string {
	var checks []string
	for _, c := range lint.Codes() {
		checks = append(checks, string(c))
	}
	return checks
}
