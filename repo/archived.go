package repo

import (
	"fmt"
	"slices"
	"time"
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
func (p *Published) ArchivedRows(c *Change) ([]Row, error) {
	if c == nil {
		c = &Change{}
	}
	var all []Row
	for _, name := range c.coldNames(p) {
		t, err := c.currentCold(p, name)
		if err != nil {
			return nil, err
		}
		rows, _, err := t.Rows()
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	slices.SortFunc(all, compareRows)
	return all, nil
}

// manyTargets is from how many entries on targets.json is a burden to agents.
const manyTargets = 2000

// Heavy says what archiving would save, "" where targets.json is light or nothing would go.
func (t *Targets) Heavy(re Retention, size int64) string {
	if t.Len() < manyTargets {
		return ""
	}
	n, bytes, err := t.Surplus(re)
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("targets.json has %d targets (%d kB), which every agent fetches after each release and verifies four times a poll; \"fleet-hsm archive --keep %d\" would leave %d (about %d kB)",
		t.Len(), size/1000, re.Keep, t.Len()-n, max(1, (size-bytes)/1000))
}
