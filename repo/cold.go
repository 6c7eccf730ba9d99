package repo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Listed gives the roles besides targets that the snapshot lists, sorted. Its signature says
// which files they are, not that anybody may sign them: see Cold.
func (p *Published) Listed() []string { return slices.Sorted(maps.Keys(p.cold)) }

// Lists reports whether the snapshot lists a role besides targets.
func (p *Published) Lists(name string) bool { return p.cold[name] != nil }

// Cold lists those of them that targets.json delegates to in a form whose signatures are
// checked here, sorted.
func (p *Published) Cold() []string {
	return slices.DeleteFunc(p.Listed(), func(name string) bool { return !p.delegates(name) })
}

func (p *Published) delegates(name string) bool {
	d, err := p.Targets.Delegated()
	if err != nil {
		return false // another tool's; the judge says what it makes of it
	}
	_, ok := d.Find(name)
	return ok
}

// ColdTargets gives a cold role whose signatures verify with the keys that targets.json
// names for it. Errors: *FileError.
func (p *Published) ColdTargets(name string) (*meta.Targets, error) {
	if p.cold[name] != nil && !p.delegates(name) {
		return nil, &meta.FileError{File: "repository/" + name + ".json", Reason: "is of a role that targets.json does not delegate to, or in another form; nobody's signature vouches for it here"}
	}
	return p.ListedTargets(name)
}

// ListedTargets gives what a listed role names, also if nobody vouches for it: enough to
// know which bytes to keep, never to sign any of it. Errors: *FileError.
func (p *Published) ListedTargets(name string) (*meta.Targets, error) {
	f := p.cold[name]
	if f == nil {
		return nil, &meta.FileError{File: "repository/snapshot.json", Reason: fmt.Sprintf("does not list role %q", name)}
	}
	if f.err != nil || f.targets != nil {
		return f.targets, f.err
	}
	env, t, err := p.parseCold(name, "repository/"+name+".json", f.data)
	if err != nil {
		return nil, err
	}
	f.env, f.targets = env, t
	return t, nil
}

// parseCold reads a file of a cold role, whose signatures verify with the keys that
// targets.json names for it if it names the role. Errors: *FileError.
func (p *Published) parseCold(name, shown string, data []byte) (*meta.Envelope, *meta.Targets, error) {
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return nil, nil, &meta.FileError{File: shown, Err: err}
	}
	if err := p.Targets.CheckCold(name, shown, env); err != nil {
		return nil, nil, err
	}
	t, err := meta.ParseTargets(env.Text())
	if err != nil {
		return nil, nil, &meta.FileError{File: shown, Err: err}
	}
	return env, t, nil
}

// coldOf finds the role besides targets that holds a path.
func (p *Published) coldOf(path string) (role string, t *meta.Targets, err error) {
	if len(p.cold) == 0 {
		return "", nil, nil
	}
	d, err := p.Targets.Delegated()
	if err != nil {
		return "", nil, &meta.FileError{File: "repository/targets.json", Err: err}
	}
	for _, name := range p.Cold() {
		if cr, _ := d.Find(name); !cr.Matches(path) || !p.cold[name].mayName(path) {
			continue
		}
		t, err := p.ColdTargets(name)
		if err != nil {
			return "", nil, err
		}
		if t.Entry(path) != nil {
			return name, t, nil
		}
	}
	return "", nil, nil
}

// coldExpiry is when the first of the cold roles expires that do so no earlier than the
// published targets; zero if there is none. New targets do not outlive it: an agent that
// has stored a role finds nothing at all once that role is expired.
func (p *Published) coldExpiry(skip func(name string) bool) (time.Time, error) {
	var first time.Time
	for _, name := range p.Cold() {
		if skip(name) {
			continue
		}
		at, err := p.ColdExpires(name)
		if err != nil {
			return first, err
		}
		if !at.Before(p.Targets.Expires()) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, nil
}
