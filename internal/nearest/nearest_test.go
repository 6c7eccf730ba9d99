package nearest

import "testing"

func TestTo(t *testing.T) {
	t.Parallel()
	roles := []string{"root", "targets", "snapshot", "timestamp"}
	for _, c := range []struct {
		word  string
		known []string
		want  string
	}{
		{"targts", roles, "targets"}, {"tragets", roles, "targets"}, {"Root", roles, "root"}, {"snap", roles, "snapshot"},
		{"root", roles, ""}, {"x", roles, ""}, {"", roles, ""}, {"mirrors", roles, ""}, {"to", roles, ""},
		{"stabel", []string{"edge", "stable"}, "stable"}, {"obrit", []string{"orbit", "desktop"}, "orbit"},
		{"osquery", []string{"osqueryd", "orbit"}, "osqueryd"}, {"v9.9", []string{"9.9", "9.8"}, "9.9"}, {"1.3", []string{"1.2"}, "1.2"},
		{"1.0.O", []string{"1.0.0"}, "1.0.0"}, {"target", []string{"targetz", "targets"}, "targetz"}, {"edge", nil, ""}, {"edg", []string{""}, ""},
	} {
		if got := To(c.word, c.known); got != c.want {
			t.Errorf("%q of %q: %q, not %q", c.word, c.known, got, c.want)
		}
	}
}
