package meta_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

func TestCheckPlatform(t *testing.T) {
	for _, p := range []string{"linux", "linux-arm64", "macos", "macos-app", "windows", "windows-arm64"} {
		if err := meta.CheckPlatform(p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	for _, p := range []string{"", "Linux", "darwin", "linux/..", "linux-arm"} {
		if err := meta.CheckPlatform(p); !repotest.IsName(err) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// TestSpellings: a new name that differs from one that is there in upper and lower case
// alone, or that Windows takes for none, is refused; those that are published are named.
func TestSpellings(t *testing.T) {
	targets := meta.NewTargets()
	for _, path := range []string{"orbit/linux/stable/orbit", "orbit/linux/Stable/orbit", "orbit/linux/con/orbit", "orbit/linux/a./orbit"} {
		if err := targets.Set(meta.Target{Path: path, Length: 1, SHA512: strings.Repeat("ab", 64), Version: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	if odd := targets.UnportableNames(); len(odd) != 3 {
		t.Errorf("%q", odd)
	}
	spelled := meta.Spellings(targets)
	for _, c := range []struct {
		path string
		ok   bool
	}{{"orbit/linux/2/orbit", true}, {"Orbit/linux/2/orbit", false}, {"orbit/linux/nul/orbit", false}, {"orbit/linux/2./orbit", false}, {"orbit/linux/2/ORBIT", false}} {
		if err := spelled.Take(c.path); (err == nil) != c.ok || err != nil && !errors.Is(err, meta.ErrName) {
			t.Errorf("%q: %v", c.path, err)
		}
	}
}

// TestPatternFault: a pattern is a path whose version is a star.
func TestPatternFault(t *testing.T) {
	for pattern, ok := range map[string]bool{
		"orbit/linux/*/orbit": true, "extensions/x/linux/*/x": true,
		"orbit/*/orbit": false, "orbit/linux/**/orbit": false, "orbit/linux/1/orbit": false, "orbit/*/*/orbit": false, "orbit//*/orbit": false, "o[a]/linux/*/orbit": false, "extensions/x/*/x": false,
	} {
		if fault := meta.PatternFault(pattern); (fault == "") != ok {
			t.Errorf("%q: %q", pattern, fault)
		}
	}
}
