package verify

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"time"
)

// RunFiles is Run on files in memory, for fuzzing.
func RunFiles(files map[string][]byte, o Options) *Report {
	w := newWalk(context.Background(), o, newCache(memory(files)))
	w.run()
	w.report.sort()
	return w.report
}

// memory is a source that is a map.
type memory map[string][]byte

func (m memory) fetch(_ context.Context, name string) (blob, error) {
	data, ok := m[name]
	if !ok {
		return blob{}, errMissing
	}
	return blob{data: data, modified: time.Unix(0, 0), announced: -1}, nil
}

func (m memory) open(_ context.Context, name string) (content, error) {
	data, ok := m[name]
	if !ok {
		return content{}, errMissing
	}
	return content{ReadCloser: io.NopCloser(bytes.NewReader(data)), size: int64(len(data))}, nil
}

func (m memory) stat(_ context.Context, name string) (int64, string, error) {
	data, ok := m[name]
	if !ok {
		return 0, "", errMissing
	}
	return int64(len(data)), name, nil
}

func (m memory) roots() ([]int64, bool) {
	var versions []int64
	for name := range m {
		if v, ok := rootVersion(path.Base(name)); ok && path.Base(name) == name {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	return versions, true
}

func (m memory) leftovers() []string { return nil }
func (m memory) close()              {}
