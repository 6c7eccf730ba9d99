package meta_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestRows: one row for each path of the form that agents ask for, in the order that people
// read; the others are named.
func TestRows(t *testing.T) {
	r, kr := repotest.New(t, true)
	for _, it := range []meta.Item{
		{Name: "osqueryd", Platform: "linux", Version: "5"},
		{Name: "orbit", Platform: "linux-arm64", Version: "1"},
		{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"stable"}},
		{Name: "extensions/x", Platform: "linux", Version: "2"},
	} {
		repotest.Add(t, r, kr, it.Name+it.Platform, it)
	}
	kr.RewriteTargets(t, r, func(targets map[string]any) { targets["README"] = targets["orbit/linux/1/orbit"] })
	p, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	rows, others, err := p.Targets.Rows()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		got = append(got, strings.Join([]string{row.Name, row.Platform, row.Channel, row.Version}, " "))
	}
	want := []string{"extensions/x linux 2 2", "orbit linux 1 1", "orbit linux stable 1", "orbit linux-arm64 1 1", "osqueryd linux 5 5"}
	if !slices.Equal(got, want) || !slices.Equal(others, []string{"README"}) {
		t.Errorf("rows %q, others %q", got, others)
	}
	same := p.Targets.PathsOf(rows[1].SHA512)
	if !slices.Equal(same, []string{"README", "orbit/linux/1/orbit", "orbit/linux/stable/orbit"}) {
		t.Errorf("those bytes are at %q", same)
	}
}
