package edit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Archiving says which entries go into cold roles, or come back from them.
type Archiving struct {
	meta.Retention
	// Keys are those of all cold roles from now on, nil for the ones that they have; new
	// roles get those of targets.
	Keys []meta.Key
	// Undo brings everything back into targets.json. The roles stay, empty.
	Undo bool
}

// ArchiveResult says what an archiving moves.
type ArchiveResult struct {
	// Targets is how many entries targets.json has before and after.
	Before int `json:"targets_before"`
	After  int `json:"targets_after"`
	Moved  int `json:"moved"`
	// Roles are the cold roles that are signed.
	Roles []ArchivedRole `json:"roles"`
	// Stay are entries that could go and cannot, because no pattern is safe for their path.
	Stay []string `json:"stay,omitempty"`
}

// ArchivedRole is a cold role before and after.
type ArchivedRole struct {
	Name     string   `json:"role"`
	Patterns []string `json:"patterns"`
	Before   int      `json:"targets_before"`
	After    int      `json:"targets_after"`
}

// Archive stages targets.json without the entries of versions that nobody follows, and
// with them the cold roles that hold those from now on: one for each component and
// platform. Entries are moved byte for byte, and no content is touched. Errors:
// *RefusedError{NoChange, ForeignRoles, ThresholdHigh, ...}.
func Archive(r *repo.Repo, p *repo.Published, staged *repo.Change, a Archiving, opts repo.StageOptions) (*repo.Change, ArchiveResult, error) {
	c := r.Start(p, staged)
	m, err := newMover(p, c)
	if err != nil {
		return nil, ArchiveResult{}, err
	}
	res := ArchiveResult{Before: m.t.Len()}
	if err := m.rekey(a.Keys); err != nil {
		return nil, res, err
	}
	if a.Undo {
		res.Moved, err = m.back()
	} else {
		res.Moved, res.Stay, err = m.away(a.Retention)
	}
	if err != nil {
		return nil, res, err
	}
	if len(m.touched) == 0 {
		return nil, res, m.nothing(a)
	}
	if err := m.t.SetDelegated(m.roles); err != nil {
		return nil, res, err
	}
	res.After, res.Roles = m.t.Len(), m.result()
	m.stage()
	c.Intend("%s", m.intent(a, res))
	return c, res, r.Restage(p, c, m.t, opts)
}

// mover takes entries from one role to another.
type mover struct {
	p       *repo.Published
	c       *repo.Change
	t       *meta.Targets
	roles   []meta.ColdRole
	cold    map[string]*meta.Targets
	touched map[string]int // role -> how many entries it had
	// keys and threshold are those of a role that is made.
	keys      []meta.Key
	threshold int
}

func newMover(p *repo.Published, c *repo.Change) (*mover, error) {
	m := &mover{p: p, c: c, t: c.CurrentTargets(p).Clone(), cold: map[string]*meta.Targets{}, touched: map[string]int{}}
	d, err := m.t.Delegated()
	if err != nil {
		return nil, &meta.FileError{File: "repository/targets.json", Err: err}
	}
	if !d.Ours {
		return nil, meta.Refuse(meta.ForeignRoles, "targets.json delegates to roles that another tool made (%s); they cannot be changed here", foreignNames(d))
	}
	for _, cr := range d.Roles {
		m.roles = append(m.roles, cr.Clone())
		now, err := c.CurrentCold(p, cr.Name)
		if err != nil {
			return nil, err
		}
		m.cold[cr.Name] = now.Clone()
	}
	m.keys, m.threshold = c.Root().Keys(meta.RoleTargets), c.Root().Threshold(meta.RoleTargets)
	if len(m.roles) > 0 {
		m.keys, m.threshold = m.roles[0].Keys, max(m.threshold, m.roles[0].Threshold)
	}
	return m, nil
}

func foreignNames(d *meta.Delegated) string {
	var names []string
	for _, ro := range d.Raw.Roles {
		names = append(names, fmt.Sprintf("%.60q", ro.Name))
	}
	const enough = 3
	if len(names) > enough {
		names = append(names[:enough], fmt.Sprintf("and %d more", len(names)-enough))
	}
	return strings.Join(names, ", ")
}

// touch notes that a role is signed anew.
func (m *mover) touch(name string) *meta.Targets {
	t := m.cold[name]
	if _, known := m.touched[name]; !known {
		m.touched[name] = t.Len()
	}
	return t
}

// rekey gives all cold roles other keys.
func (m *mover) rekey(keys []meta.Key) error {
	if len(keys) == 0 {
		return nil
	}
	need := m.c.Root().Threshold(meta.RoleTargets)
	if len(keys) < need {
		return meta.Refuse(meta.ThresholdHigh, "%d key(s) for the cold roles, and targets needs %d signatures; they need as many", len(keys), need)
	}
	m.keys, m.threshold = keys, need
	for i, cr := range m.roles {
		if cr.Threshold == need && meta.SameKeySet(cr.Keys, keys) {
			continue
		}
		m.roles[i].Keys, m.roles[i].Threshold = keys, need
		m.touch(cr.Name)
	}
	return nil
}

// away moves what nothing keeps out of targets.json.
func (m *mover) away(re meta.Retention) (moved int, stay []string, err error) {
	rows, _, err := m.t.Rows()
	if err != nil {
		return 0, nil, err
	}
	for _, row := range re.Surplus(rows) {
		pattern := row.Name + "/" + row.Platform + "/*/" + row.File
		if meta.PatternFault(pattern) != "" || strings.ContainsAny(row.Version, meta.PatternSigns) || row.Version[0] == '.' {
			stay = append(stay, row.Path)
			continue
		}
		name := m.roleOf(row, pattern)
		m.touch(name).Put(row.Path, m.t.Entry(row.Path))
		m.t.Remove(row.Path)
		moved++
	}
	return moved, stay, nil
}

// roleOf finds the role of a component and platform, or makes it.
func (m *mover) roleOf(row meta.Row, pattern string) string {
	prefix := row.Name + "/" + row.Platform + "/*/"
	for i, cr := range m.roles {
		if !slices.ContainsFunc(cr.Patterns, func(p string) bool { return strings.HasPrefix(p, prefix) }) {
			continue
		}
		if !slices.Contains(cr.Patterns, pattern) {
			m.roles[i].Patterns = append(cr.Patterns, pattern)
		}
		return cr.Name
	}
	cr := meta.ColdRole{Name: m.freeName(row), Patterns: []string{pattern}, Keys: m.keys, Threshold: m.threshold}
	m.roles = append(m.roles, cr)
	m.cold[cr.Name] = meta.NewTargets()
	return cr.Name
}

// freeName makes the name of a role: archive-orbit-linux. Two lines that would be called
// the same are numbered.
func (m *mover) freeName(row meta.Row) string {
	base := "archive-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, row.Name+"-"+row.Platform)
	if most := meta.MaxLastElement - len("-1000"); len(base) > most {
		base = base[:most]
	}
	name := base
	for n := 2; m.taken(name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

func (m *mover) taken(name string) bool {
	same := func(other string) bool { return strings.EqualFold(other, name) }
	return slices.ContainsFunc(m.roles, func(cr meta.ColdRole) bool { return same(cr.Name) }) || slices.ContainsFunc(m.p.Listed(), same)
}

// back moves everything into targets.json again.
func (m *mover) back() (int, error) {
	moved := 0
	for _, name := range slices.Sorted(maps.Keys(m.cold)) {
		t := m.cold[name]
		if t.Len() == 0 {
			continue
		}
		m.touch(name)
		for path, raw := range t.All() {
			m.t.Put(path, raw)
			t.Remove(path)
			moved++
		}
	}
	return moved, nil
}

// stage hands the roles that were touched to the change.
func (m *mover) stage() {
	for name := range m.touched {
		m.c.StageCold(name, m.cold[name])
	}
}

func (m *mover) result() []ArchivedRole {
	out := []ArchivedRole{}
	for _, cr := range m.roles {
		if before, ok := m.touched[cr.Name]; ok {
			out = append(out, ArchivedRole{Name: cr.Name, Patterns: cr.Patterns, Before: before, After: m.cold[cr.Name].Len()})
		}
	}
	return out
}

func (m *mover) nothing(a Archiving) error {
	if a.Undo {
		return meta.Refuse(meta.NoChange, "no target lies in a cold role")
	}
	return meta.Refuse(meta.NoChange, "nothing to archive: of %d targets each is a channel, pinned, or among the newest %d", m.t.Len(), a.Keep)
}

func (m *mover) intent(a Archiving, res ArchiveResult) string {
	switch {
	case a.Undo:
		return fmt.Sprintf("bring %d targets back from the archive (%d roles)", res.Moved, len(res.Roles))
	case res.Moved == 0:
		return fmt.Sprintf("change the keys of the archive (%d roles)", len(res.Roles))
	}
	return fmt.Sprintf("archive %d targets, and keep the newest %d versions (%d roles)", res.Moved, a.Keep, len(res.Roles))
}
