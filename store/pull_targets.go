package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
)

// bringTargets downloads the target files that are not here by size and hash, before
// the metadata that names them.
func (p *puller) bringTargets(ctx context.Context) error {
	if !p.o.Targets {
		return nil
	}
	var todo []wanted
	for _, target := range sortedKeys(p.targets) {
		m := p.targets[target]
		names := targetNames(p.root.Consistent, target, m)
		if len(names) == 0 || checkName("targets/"+target) != nil {
			return p.bad("targets.json", "", "it names the target "+strconv.Quote(target)+" in a way that cannot be published")
		}
		here, err := p.local.has(names[0], m)
		if err != nil {
			return err
		}
		if !here {
			todo = append(todo, wanted{names: names, meta: m})
		}
	}
	bar := &pullMeter{report: p.o.Progress, p: Progress{Step: StepContent, FilesTotal: len(todo)}}
	for _, w := range todo {
		bar.p.BytesTotal += w.meta.Length
	}
	workers := p.o.Parallel
	if workers == 0 {
		workers = 8
	}
	return parallel(ctx, workers, len(todo), func(ctx context.Context, i int) error {
		return p.bring(ctx, todo[i], bar)
	})
}

// wanted is a target file to download, under any of its names.
type wanted struct {
	names []string
	meta  tuf.FileMeta
}

// bring downloads a file under the first of its names that the store has. The name
// appears here only when length and hashes are right.
func (p *puller) bring(ctx context.Context, w wanted, bar *pullMeter) error {
	var err error
	for _, name := range w.names {
		err = p.download(ctx, name, w.meta, bar)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (p *puller) download(ctx context.Context, name string, m tuf.FileMeta, bar *pullMeter) error {
	r, _, err := p.store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := os.MkdirAll(p.o.Dir, 0o755); err != nil {
		return err
	}
	root, err := webroot.OpenRoot(p.o.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.MakeDirs(path.Dir(name)); err != nil {
		return err
	}
	tmp, tmpName, err := root.CreateTemp(name, tempPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(tmpName) }()
	err = m.Copy(tmp, &countingReader{ctx: ctx, r: r, progress: func(n int64) { bar.add(name, n, 0) }})
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	var other *tuf.MismatchError
	if errors.As(err, &other) {
		return p.bad(name, "targets.json", other.Error())
	}
	if err != nil {
		return &OpError{Op: "downloading", Name: name, Store: p.store.String(), Err: err}
	}
	if err := root.Rename(tmpName, name); err != nil {
		return err
	}
	bar.add(name, 0, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.res.Files = append(p.res.Files, name)
	p.res.Bytes += m.Length
	return root.SyncDir(path.Dir(name))
}

// has reports whether the file of a name here is the one that m names.
func (l *local) has(name string, m tuf.FileMeta) (bool, error) {
	st, err := webroot.Stat(l.dir, name)
	var link *webroot.LinkError
	if errors.As(err, &link) {
		return false, err
	}
	if err != nil || !st.Mode().IsRegular() || st.Size() != m.Length {
		return false, nil
	}
	f, err := webroot.Open(l.dir, name)
	if err != nil {
		return false, nil
	}
	defer func() { _ = f.Close() }()
	return m.Copy(io.Discard, f) == nil, nil
}

// pullMeter adds up progress of a download.
type pullMeter struct {
	mu     sync.Mutex
	report func(Progress)
	p      Progress
}

func (b *pullMeter) add(name string, n int64, files int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Name = name
	b.p.Bytes += n
	b.p.Files += files
	if b.report != nil {
		b.report(b.p)
	}
}
