package workflow

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/lint"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Addition is what add publishes.
type Addition struct {
	Items []meta.Item
	// Unchecked are the checks of files that are switched off: see [CheckNoLint].
	Unchecked []string
	// Replace a version that is published with other bytes.
	Replace, AllowShorter bool
}

// Add stages the files and makes the change that publishes them; nil if all of it is
// published already. findings are the warnings
// of the checks; what agents could not run or install is refused (*[LintError]).
func (w *Session) Add(ctx context.Context, o Addition) (c *repo.Change, findings []lint.Finding, err error) {
	list, err := w.stageFiles(ctx, o.Items)
	if err != nil {
		return nil, nil, err
	}
	if findings, err = w.lint(ctx, list, o.Unchecked); err != nil {
		return nil, nil, err
	}
	placed := make([]edit.StagedItem, len(list))
	for i, p := range list {
		placed[i] = p.StagedItem
	}
	if w.Staged == nil && edit.Holds(w.Repo, w.Published, placed) {
		return nil, findings, nil
	}
	opts := w.StageOptions(o.AllowShorter)
	opts.Replace = o.Replace
	c, err = edit.Add(w.Repo, w.Published, w.Staged, placed, opts)
	return c, findings, err
}

// stagedFile is an item with its bytes; from is the published target that it names, or "".
type stagedFile struct {
	edit.StagedItem
	from string
}

// stageFiles stages each distinct file once, or finds it among what is published.
func (w *Session) stageFiles(ctx context.Context, items []meta.Item) ([]stagedFile, error) {
	done := map[string]stagedFile{}
	var out []stagedFile
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if had, ok := done[it.File]; ok {
			it.File = had.Item.File
			had.Item = it
			out = append(out, had)
			continue
		}
		source := it.File
		content, from, below, err := w.Repo.PublishedContent(w.Published, it.File)
		if err != nil {
			return nil, err
		}
		if below {
			it.File = path.Base(from)
		} else if content, err = w.stageFile(ctx, it.File); err != nil {
			return nil, err
		}
		p := stagedFile{edit.StagedItem{Item: it, Content: content}, from}
		done[source] = p
		out = append(out, p)
	}
	return out, nil
}

func (w *Session) stageFile(ctx context.Context, file string) (repo.Content, error) {
	bar := w.opts.Talk.Progress("copying " + filepath.Base(file))
	defer bar.End()
	content, err := w.Repo.Stage(ctx, file, bar.Draw)
	if err != nil && errors.Is(err, context.Canceled) {
		return repo.Content{}, fmt.Errorf("copying %q: %w", file, err)
	}
	return content, err
}
