package edit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestRemove: by path or by channel, narrowed by name and platform; what is not there is
// named, nothing is guessed.
func TestRemove(t *testing.T) {
	r, kr := repotest.New(t, true)
	for _, it := range []meta.Item{
		{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"stable"}},
		{Name: "orbit", Platform: "macos", Version: "1", Channels: []string{"stable"}},
		{Name: "osqueryd", Platform: "linux", Version: "5", Channels: []string{"stable"}},
	} {
		repotest.Add(t, r, kr, it.Name+it.Platform, it)
	}
	p := repotest.Load(t, r)
	for name, c := range map[string]struct {
		rm   edit.Removal
		want []string
		kind meta.RefusedKind
		bad  bool
	}{
		"a path":                   {rm: edit.Removal{Paths: []string{"orbit/linux/1/orbit"}}, want: []string{"orbit/linux/1/orbit"}},
		"a path twice":             {rm: edit.Removal{Paths: []string{"orbit/linux/1/orbit", "orbit/linux/1/orbit"}}, want: []string{"orbit/linux/1/orbit"}},
		"a channel":                {rm: edit.Removal{Channel: "stable"}, want: []string{"orbit/linux/stable/orbit", "orbit/macos/stable/orbit", "osqueryd/linux/stable/osqueryd"}},
		"one component of it":      {rm: edit.Removal{Channel: "stable", Names: []string{"orbit"}}, want: []string{"orbit/linux/stable/orbit", "orbit/macos/stable/orbit"}},
		"one platform of it":       {rm: edit.Removal{Channel: "stable", Platforms: []string{"linux"}}, want: []string{"orbit/linux/stable/orbit", "osqueryd/linux/stable/osqueryd"}},
		"a path and a channel":     {rm: edit.Removal{Paths: []string{"orbit/linux/1/orbit"}, Channel: "5"}, want: []string{"orbit/linux/1/orbit", "osqueryd/linux/5/osqueryd"}},
		"no such path":             {rm: edit.Removal{Paths: []string{"orbit/linux/9/orbit"}}, kind: meta.NotFound},
		"no such channel":          {rm: edit.Removal{Channel: "edge"}, kind: meta.NotFound},
		"no such platform":         {rm: edit.Removal{Channel: "stable", Platforms: []string{"windows"}}, kind: meta.NotFound},
		"a channel that is a path": {rm: edit.Removal{Channel: "../stable"}, bad: true},
	} {
		change, gone, err := edit.Remove(r, p, nil, c.rm, repo.StageOptions{})
		switch {
		case c.bad || c.kind != "":
			if err == nil || c.kind != "" && !kindIs(c.kind)(err) || c.bad && !errors.Is(err, meta.ErrName) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || !slices.Equal(gone, c.want):
			t.Errorf("%s: removed %q, %v", name, gone, err)
		default:
			if left := change.Targets().Len(); left != p.Targets.Len()-len(c.want) {
				t.Errorf("%s: %d targets are left", name, left)
			}
		}
	}
	_, _, err := edit.Remove(r, p, nil, edit.Removal{Paths: []string{"/srv/repository/targets/orbit/linux/1/orbit"}}, repo.StageOptions{})
	if err == nil || !strings.HasSuffix(err.Error(), `did you mean "orbit/linux/1/orbit"?`) {
		t.Errorf("a path of the file system: %v", err)
	}
	if p.Targets.Len() != 6 {
		t.Error("what was loaded has changed")
	}
}
