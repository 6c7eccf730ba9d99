package installer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// verifyHeld lets package verify look at what a store holds, as if it were served.
func verifyHeld(ctx context.Context, held map[string]json.RawMessage, now time.Time) (*verify.Report, error) {
	dir, err := os.MkdirTemp("", "fleet-hsm-inspect-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, role := range storedRoles() {
		data, ok := held[role+".json"]
		if !ok {
			continue
		}
		numbered := fmt.Sprintf("%d.%s.json", versionIn(data), role)
		for _, name := range []string{role + ".json", numbered} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return verify.Run(ctx, verify.Options{Source: dir, Root: held["root.json"], MetadataOnly: true, At: now})
}

func versionIn(data []byte) int64 {
	var d struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	_ = json.Unmarshal(data, &d) // 0 says it
	return d.Signed.Version
}

// Leads says whether the pinned root leads to the present one of a repository.
type Leads struct {
	Source string `json:"source"`
	OK     bool   `json:"ok"`
	// From and To are versions of root: the pinned one, and the present one.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Why it does not.
	Why []string `json:"why,omitempty"`
}

// Leads follows from the pinned root as an agent does.
func (i *Inspection) Leads(ctx context.Context, to verify.Options) (*Leads, error) {
	if !i.Pinned {
		return &Leads{Source: to.Source, Why: []string{"no root is pinned"}}, nil
	}
	to.Root, to.MetadataOnly = i.root, true
	report, err := verify.Run(ctx, to)
	if err != nil {
		return nil, err
	}
	l := &Leads{Source: report.Source, From: report.PinnedRoot}
	if root, ok := report.Role("root"); ok {
		l.To = root.Version
	}
	expired := false
	for _, r := range report.Roles {
		expired = expired || r.Expired
	}
	for _, f := range report.Findings {
		if concerns(f, l.From, expired) {
			l.Why = append(l.Why, f.String())
		}
	}
	for _, r := range i.Roles {
		if there, ok := report.Role(r.Role); ok && there.Version < r.Version {
			l.Why = append(l.Why, fmt.Sprintf("%s is version %d in the installer and %d there: agents refuse what goes back", r.Role, r.Version, there.Version))
		}
	}
	l.OK = len(l.Why) == 0
	return l, nil
}

// concerns tells what stops an agent that begins at a version of root from what is wrong
// for others.
func concerns(f verify.Finding, from int64, expired bool) bool {
	n, numbered := strings.CutSuffix(f.File, ".root.json")
	version, err := strconv.ParseInt(n, 10, 64)
	old := numbered && err == nil && version <= from
	switch {
	case f.Code == verify.CodePinnedDiffers:
		return true
	case f.Severity != verify.Error, tolerated(f.Code), old:
		return false
	case f.Code == verify.CodeClient && expired:
		return false // said by what is expired
	}
	return true
}
