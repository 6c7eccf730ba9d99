package repo

import (
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// ColdSummary is what the cold roles hold together.
type ColdSummary struct {
	Roles   int `json:"roles"`
	Targets int `json:"targets"`
	// Expires is when the first of them does.
	Expires time.Time `json:"expires"`
	// Role is that one.
	Role string `json:"first_to_expire"`
}

// ColdSummary adds up the cold roles; nil without any. What cannot be read is left out, and
// stands in Warnings.
func (p *Published) ColdSummary() *ColdSummary {
	roles := p.Cold()
	if len(roles) == 0 {
		return nil
	}
	s := &ColdSummary{Roles: len(roles)}
	for _, name := range roles {
		t, err := p.ColdTargets(name)
		if err != nil {
			if p.cold[name].err == nil {
				p.Warnings = append(p.Warnings, err.Error())
			}
			continue
		}
		s.Targets += t.Len()
		if s.Role == "" || t.Expires().Before(s.Expires) {
			s.Role, s.Expires = name, t.Expires().UTC()
		}
	}
	return s
}

// ArchivedRows lists the targets of the cold roles as c would leave them; c may be nil.
func (p *Published) ArchivedRows(c *Change) ([]meta.Row, error) {
	if c == nil {
		c = &Change{}
	}
	var all []meta.Row
	for _, name := range c.ColdNames(p) {
		t, err := c.CurrentCold(p, name)
		if err != nil {
			return nil, err
		}
		rows, _, err := t.Rows()
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	slices.SortFunc(all, meta.CompareRows)
	return all, nil
}

// Weight is that of the published targets.json.
func (p *Published) Weight() (meta.Weight, error) { return meta.Weigh(p.targetsData) }

// TargetsSize is the length of the published targets.json.
func (p *Published) TargetsSize() int64 { return int64(len(p.targetsData)) }

// Weight is that of the targets.json that the change would publish, but for signatures
// that it does not have yet.
func (c *Change) Weight() (meta.Weight, error) {
	data, err := c.targetsDoc.Bytes()
	if err != nil {
		return meta.Weight{}, err
	}
	return meta.Weigh(data)
}
