package buildtime

import (
	"os"
	"regexp"
	"runtime/debug"
	"testing"
	"time"
)

// TestMadeAt: what each kind of build knows of its age.
func TestMadeAt(t *testing.T) {
	t.Parallel()
	vcs := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.time", Value: "2031-02-03T04:05:06Z"}}
	for name, c := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"nothing known":         {nil, sourceDate + "T00:00:00Z"},
		"a release, installed":  {&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, sourceDate + "T00:00:00Z"},
		"a commit, installed":   {&debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20310203040506-0123456789ab"}}, "2031-02-03T04:05:06Z"},
		"after a release":       {&debug.BuildInfo{Main: debug.Module{Version: "v1.2.4-0.20310203040506-0123456789ab+dirty"}}, "2031-02-03T04:05:06Z"},
		"a checkout":            {&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs}, "2031-02-03T04:05:06Z"},
		"one of an old commit":  {&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.time", Value: "2001-02-03T04:05:06Z"}}}, sourceDate + "T00:00:00Z"},
		"a time that is no one": {&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.time", Value: "soon"}}}, sourceDate + "T00:00:00Z"},
	} {
		if have := madeAt(c.info).Format(time.RFC3339); have != c.want {
			t.Errorf("%s: %s, want %s", name, have, c.want)
		}
	}
}

// TestSourceDateIsFresh: a release moves sourceDate on, to its own day at least.
func TestSourceDateIsFresh(t *testing.T) {
	t.Parallel()
	log, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range regexp.MustCompile(`(?m)^## .*\b(\d{4}-\d\d-\d\d)\b`).FindAllStringSubmatch(string(log), -1) {
		if day[1] > sourceDate {
			t.Errorf("CHANGELOG.md has a release of %s; sourceDate is %s", day[1], sourceDate)
		}
	}
	if day, err := time.Parse(time.DateOnly, sourceDate); err != nil || day.After(time.Now().Add(grace)) {
		t.Errorf("sourceDate %q is no day behind us: %v", sourceDate, err)
	}
}
