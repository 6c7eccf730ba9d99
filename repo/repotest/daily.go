package repotest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Daily is a published repository with its keys, as a release engineer has it day by day.
// No lock is held: its tests are alone with it.
type Daily struct {
	Keyring
	*repo.Repo
	now time.Time // zero for the machine's
}

// NewDaily makes one with one key a role.
func NewDaily(t testing.TB, consistent bool) *Daily {
	t.Helper()
	d := &Daily{Keyring: Keyring{}, Repo: repo.Open(Folder(t), repo.Options{})}
	if err := os.Mkdir(filepath.Join(d.Dir(), "pending"), 0o700); err != nil {
		t.Fatal(err)
	}
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{d.Make(t)}
	}
	c, err := d.Init(repo.InitOptions{Keys: keys, Consistent: consistent})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, nil, c)
	return d
}

// Later puts the clock on.
func (d *Daily) Later(by time.Duration) {
	d.now = d.Now().Add(by)
	d.Repo = repo.Open(d.Dir(), repo.Options{Now: func() time.Time { return d.now }})
}

// Published gives what is published, whatever its warnings.
func (d *Daily) Published(t testing.TB) *repo.Published {
	t.Helper()
	p, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Item stages a file of its own for a component, platform and version.
func (d *Daily) Item(t testing.TB, name, platform, version string, channels ...string) edit.StagedItem {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(file, []byte(name+platform+version), 0o644); err != nil {
		t.Fatal(err)
	}
	content, err := d.Stage(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return edit.StagedItem{Item: meta.Item{Name: name, Platform: platform, Version: version, Channels: channels, File: file}, Content: content}
}

// Add publishes items.
func (d *Daily) Add(t testing.TB, items ...edit.StagedItem) {
	t.Helper()
	p := d.Published(t)
	c, err := edit.Add(d.Repo, p, nil, items, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, p, c)
}

// Releases publishes versions 1.0.1 to 1.0.N of two components on two platforms, the last
// of them in stable and the second in "old".
func (d *Daily) Releases(t testing.TB, n int) {
	t.Helper()
	var items []edit.StagedItem
	for v := 1; v <= n; v++ {
		var channels []string
		switch v {
		case n:
			channels = []string{"stable", "edge"}
		case 2:
			channels = []string{"old"}
		}
		for _, name := range []string{"orbit", "desktop"} {
			for _, platform := range []string{"linux", "windows"} {
				items = append(items, d.Item(t, name, platform, fmt.Sprintf("1.0.%d", v), channels...))
			}
		}
	}
	d.Add(t, items...)
}

// Archive publishes an archiving.
func (d *Daily) Archive(t testing.TB, a edit.Archiving) edit.ArchiveResult {
	t.Helper()
	p := d.Published(t)
	c, res, err := edit.Archive(d.Repo, p, nil, a, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, p, c)
	return res
}

// Keep archives all but the newest versions of each target.
func Keep(n int) edit.Archiving { return edit.Archiving{Retention: meta.Retention{Keep: n}} }

// ColdRoles gives the published cold roles by name; nothing may be wrong with them.
func (d *Daily) ColdRoles(t testing.TB) map[string]*meta.Targets {
	t.Helper()
	p := d.Published(t)
	if len(p.Warnings) > 0 {
		t.Errorf("warnings: %v", p.Warnings)
	}
	out := map[string]*meta.Targets{}
	for _, name := range p.Cold() {
		cold, err := p.ColdTargets(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = cold
	}
	return out
}

// Over signs a message with a key of the ring, whatever it is.
func (kr Keyring) Over(t testing.TB, k meta.Key, message []byte) []byte {
	t.Helper()
	sig, err := wiresig.Sign(kr[k.ID], message)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// RewriteTargets has the published entries of targets.json be others, well signed, as
// another tool may write them.
func (kr Keyring) RewriteTargets(t testing.TB, r *repo.Repo, change func(targets map[string]any)) {
	t.Helper()
	key := Load(t, r).Root.Keys(meta.RoleTargets)[0].ID
	raw := kr.Resign(t, []byte(Read(t, r, "repository/targets.json")), func(signed map[string]any) {
		change(signed["targets"].(map[string]any))
	}, key)
	Write(t, r, "repository/targets.json", string(raw))
}

// WebPath is a file below repository/.
func WebPath(r *repo.Repo, name string) string {
	return filepath.Join(r.Dir(), "repository", filepath.FromSlash(name))
}

// RefusedAs fails unless an error is a refusal of that kind.
func RefusedAs(t testing.TB, err error, kind meta.RefusedKind) {
	t.Helper()
	if !KindIs(kind)(err) {
		t.Errorf("not refused as %s: %v", kind, err)
	}
}

// KindIs reports whether an error is a refusal of that kind.
func KindIs(kind meta.RefusedKind) func(error) bool {
	return func(err error) bool {
		var refused *meta.RefusedError
		return errors.As(err, &refused) && refused.Kind == kind
	}
}

// IsName reports whether an error says that a name cannot be given.
func IsName(err error) bool {
	var e *meta.NameError
	return errors.As(err, &e) && errors.Is(err, meta.ErrName)
}

// At is the same folder at another time.
func At(r *repo.Repo, now time.Time) *repo.Repo {
	return repo.Open(r.Dir(), repo.Options{Now: func() time.Time { return now }})
}
