package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// listOver is from how many files on the store is listed rather than asked for each.
const listOver = 32

func trimJSON(file string) string { return strings.TrimSuffix(file, ".json") }

// addSteps fills Items in the order of writing. Where the store's timestamp names our
// snapshot already, everything below it was in place before that timestamp.
func (p *UploadPlan) addSteps(ctx context.Context) error {
	putTimestamp, err := p.timestampAction()
	if err != nil {
		return err
	}
	everything := !p.remote.same || p.o.Recheck
	roots := p.remote.rootVersion != p.local.root.Version
	var steps []func(context.Context) error
	if everything {
		steps = append(steps, p.addContent)
	}
	if everything || roots {
		steps = append(steps, p.addOldRoots)
	}
	add := func(cond bool, s ...func(context.Context) error) {
		if cond {
			steps = append(steps, s...)
		}
	}
	switch {
	case !p.local.root.Consistent:
		add(everything || roots, p.addRootChain, p.addRoot)
		add(everything, p.addRoles, p.addSnapshot)
	case p.remote.timestamp != nil && !p.remote.consistent:
		// The new root switches clients of the flat layout over; the copies that they
		// read until then must stay what the old timestamp names.
		add(everything, p.addRoles, p.addSnapshot)
		add(everything || roots, p.addRootChain, p.addRoot)
		add(everything, p.addCopies)
	default:
		add(everything, p.addRoles, p.addSnapshot, p.addCopies)
		add(everything || roots, p.addRoot, p.addRootChain)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if !putTimestamp {
		return nil
	}
	return p.addTimestamp()
}

func (p *UploadPlan) caching() Caching {
	if p.o.Caching != nil {
		return *p.o.Caching
	}
	return DefaultCaching(p.local.root.Consistent)
}

func (p *UploadPlan) header(name string) Header {
	return p.caching().header(name, p.local.root.Consistent)
}

// lookup says what the store has under a name, nil for nothing.
func (p *UploadPlan) lookup(ctx context.Context, name string) (*Info, error) {
	if p.remote.missing {
		return nil, nil
	}
	info, err := p.store.Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &info, nil
}

// addFile adds a metadata file unless the store has it.
func (p *UploadPlan) addFile(ctx context.Context, it Item, data []byte) error {
	have, err := p.lookup(ctx, it.Name)
	if err != nil {
		return err
	}
	it.content, it.Size, it.Change = Bytes(data), int64(len(data)), "new"
	it.put.Header = p.header(it.Name)
	if have == nil {
		// In the flat layout a name that was free must still be free: two people
		// publishing at once would mix their files.
		it.put.Absent = it.frozen || !p.local.root.Consistent
		p.Items = append(p.Items, it)
		return nil
	}
	same, err := sameContent(ctx, p.store, *have, it.content)
	if err != nil {
		return err
	}
	if same {
		p.Kept++
		return nil
	}
	if it.frozen {
		return &DivergedError{Role: it.role, Version: it.version}
	}
	it.Change = "changed"
	if !p.local.root.Consistent {
		if it.put.Match = have.ETag; it.put.Match == "" {
			return noETag("replacing", it.Name, p.Store)
		}
	}
	p.Items = append(p.Items, it)
	return nil
}

func (p *UploadPlan) addRootVersion(ctx context.Context, step string, v int64) error {
	name := versioned(v, "root.json")
	data, err := p.local.read(name)
	if err != nil {
		return err
	}
	return p.addFile(ctx, Item{Name: name, Step: step, frozen: true, role: roleRoot, version: v}, data)
}

// addOldRoots fills gaps below the store's highest root: every N.root.json since the
// oldest installed agent must be there.
func (p *UploadPlan) addOldRoots(ctx context.Context) error {
	for v := int64(1); v < p.remote.rootVersion; v++ {
		if !p.local.roots[v] {
			continue
		}
		if err := p.addRootVersion(ctx, StepOldRoots, v); err != nil {
			return err
		}
	}
	return nil
}

// addRootChain adds the new roots, oldest first: clients take them one by one.
func (p *UploadPlan) addRootChain(ctx context.Context) error {
	started := p.remote.rootVersion > 0
	for v := p.remote.rootVersion + 1; v <= p.local.root.Version; v++ {
		if !p.local.roots[v] && !started {
			continue // a repository that was begun from a later root
		}
		started = true
		if err := p.addRootVersion(ctx, StepRootChain, v); err != nil {
			return err
		}
	}
	return nil
}

func (p *UploadPlan) addRoot(ctx context.Context) error {
	return p.addFile(ctx, Item{Name: "root.json", Step: StepRoot}, p.local.rootBytes)
}

// addRole adds a file that snapshot names, or snapshot itself, under the name by which
// clients ask for it.
func (p *UploadPlan) addRole(ctx context.Context, step, file string, version int64, data []byte) error {
	consistent := p.local.root.Consistent
	it := Item{Name: publishedName(consistent, file, version), Step: step, frozen: consistent, role: trimJSON(file), version: version}
	return p.addFile(ctx, it, data)
}

func (p *UploadPlan) addRoles(ctx context.Context) error {
	for _, file := range sortedKeys(p.local.roles) {
		if err := p.addRole(ctx, StepTargets, file, p.local.versions[file], p.local.roles[file]); err != nil {
			return err
		}
	}
	return nil
}

func (p *UploadPlan) addSnapshot(ctx context.Context) error {
	return p.addRole(ctx, StepSnapshot, "snapshot.json", p.local.snapshot.Version, p.local.snapshotBytes)
}

// addCopies adds targets.json and snapshot.json beside their versioned selves: no
// client asks for them, people and tools do.
func (p *UploadPlan) addCopies(ctx context.Context) error {
	for _, file := range sortedKeys(p.local.roles) {
		if err := p.addFile(ctx, Item{Name: file, Step: StepCopies}, p.local.roles[file]); err != nil {
			return err
		}
	}
	return p.addFile(ctx, Item{Name: "snapshot.json", Step: StepCopies}, p.local.snapshotBytes)
}

func (p *UploadPlan) addTimestamp() error {
	data := p.local.timestampBytes
	it := Item{Name: "timestamp.json", Step: StepTimestamp, Size: int64(len(data)), Change: "new", content: Bytes(data)}
	it.put.Header = p.header(it.Name)
	it.put.Absent = p.remote.timestamp == nil && !p.remote.worthless
	if !it.put.Absent {
		it.put.Match, it.Change = p.remote.timestampETag, "changed"
		if it.put.Match == "" {
			return noETag("replacing", it.Name, p.Store)
		}
	}
	p.Items = append(p.Items, it)
	return nil
}

// candidate is a target file that may have to go out.
type candidate struct {
	name    string
	content Content
}

// addContent adds the target files that the store lacks. With consistent snapshots a
// file that the published targets.json names was there before it was published. In
// the flat layout names are overwritten, and an interrupted publish may have changed
// any of them, so each is looked at.
func (p *UploadPlan) addContent(ctx context.Context) error {
	var todo []candidate
	trust := p.local.root.Consistent && p.remote.consistent && !p.o.Recheck
	for _, target := range sortedKeys(p.local.targets) {
		m := p.local.targets[target]
		if there, ok := p.remote.targets[target]; ok && trust && there.SameContent(m) {
			p.Kept++
			continue
		}
		files, err := p.local.content(target, m)
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(files) {
			todo = append(todo, candidate{name, files[name]})
		}
	}
	return p.addCandidates(ctx, todo)
}

func (p *UploadPlan) addCandidates(ctx context.Context, todo []candidate) error {
	find, err := p.finder(ctx, len(todo))
	if err != nil {
		return err
	}
	items := make([]*Item, len(todo))
	kept := make([]bool, len(todo))
	err = parallel(ctx, p.workers(), len(todo), func(ctx context.Context, i int) error {
		c := todo[i]
		it := &Item{Name: c.name, Step: StepContent, Size: c.content.Size, Change: "new", content: c.content}
		it.put.Header = p.header(c.name)
		have, err := find(ctx, c.name)
		if err != nil {
			return err
		}
		if have != nil {
			it.Change = "changed"
			if kept[i], err = sameContent(ctx, p.store, *have, c.content); err != nil {
				return fmt.Errorf("comparing %q: %w", c.name, err)
			}
		}
		items[i] = it
		return nil
	})
	if err != nil {
		return err
	}
	return p.collect(items, kept)
}

func (p *UploadPlan) collect(items []*Item, kept []bool) error {
	var missing []string
	for i, it := range items {
		switch {
		case kept[i]:
			p.Kept++
		case it.content.Open == nil:
			missing = append(missing, it.Name)
		default:
			p.Items = append(p.Items, *it)
		}
	}
	if len(missing) > 0 {
		return &ContentMissingError{Names: missing}
	}
	return nil
}

// finder asks for each file, or lists them all at once where that is cheaper.
func (p *UploadPlan) finder(ctx context.Context, n int) (func(context.Context, string) (*Info, error), error) {
	if n <= listOver || p.remote.missing {
		return p.lookup, nil
	}
	all := map[string]*Info{}
	for info, err := range p.store.List(ctx, "targets/") {
		if err != nil {
			return nil, err
		}
		all[info.Name] = &info
	}
	return func(_ context.Context, name string) (*Info, error) { return all[name], nil }, nil
}

func (p *UploadPlan) workers() int {
	if p.o.Parallel > 0 {
		return p.o.Parallel
	}
	return 8
}

// parallel runs f for 0..n-1 on so many goroutines and stops at the first error.
func parallel(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
