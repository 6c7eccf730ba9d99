package repo

import (
	"encoding/json"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// coldData gives the published files of the cold roles that a change signs anew.
func (p *Published) coldData(c *Change) (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	for name := range c.cold {
		f := p.cold[name]
		if f == nil {
			continue // a new one
		}
		if f.err != nil {
			return nil, f.err
		}
		if out == nil {
			out = map[string]json.RawMessage{}
		}
		out[name] = f.data
	}
	return out, nil
}

// takeCold takes published cold roles that came with a request. Their signatures count by
// the keys that the published targets names.
func (p *Published) takeCold(file string, data map[string]json.RawMessage) error {
	p.cold = map[string]*coldFile{}
	for name, d := range data {
		p.cold[name] = &coldFile{name: name, data: d}
	}
	for name := range data {
		d, err := p.Targets.Delegated()
		if err != nil {
			return &meta.FileError{File: file, Reason: "published targets", Err: err}
		}
		if _, ok := d.Find(name); !ok {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("holds published role %.60q, to which the published targets does not delegate", name)}
		}
		if _, err := p.ColdTargets(name); err != nil {
			return fmt.Errorf("published role %q: %w", name, err)
		}
	}
	return nil
}

// targetsSize and publishedSize add up what a limit is for.
func (x Bundle) targetsSize() int { return len(x.Targets) + sizes(x.Cold) }

func (x Bundle) publishedSize() int { return len(x.Published) + sizes(x.PublishedCold) }

func sizes(files map[string]json.RawMessage) int {
	n := 0
	for _, f := range files {
		n += len(f)
	}
	return n
}
