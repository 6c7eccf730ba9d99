package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestPullRefusesAColdRole: what the keys that targets names for a role below it did not
// sign is not brought here, although the snapshot names it.
func TestPullRefusesAColdRole(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		r.Below = map[string][]byte{"archive-a-b": r.Sign(map[string]any{
			"_type": "targets", "spec_version": "1.0", "version": 1, "expires": "2099-01-01T00:00:00Z", "targets": map[string]any{},
		}, repotest.NewKey(t))}
		r.Commit()
		publish(t, s, options(r))
		dir := filepath.Join(t.TempDir(), "repository")
		var asked string
		stranger := errors.New("no key of the role has signed")
		_, err := Pull(t.Context(), s, PullOptions{Dir: dir, AcceptsCold: func(targets []byte, role string, data []byte) error {
			asked = role
			if !strings.Contains(string(targets), `"targets"`) || string(data) != string(r.Below[role]) {
				t.Errorf("asked with other files")
			}
			return stranger
		}})
		if !errors.As(err, new(*MismatchError)) || asked != "archive-a-b" {
			t.Errorf("asked for %q: %v", asked, err)
		}
		if res, err := Pull(t.Context(), s, PullOptions{Dir: dir}); err != nil || res.Versions["archive-a-b"] != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}
