package repo_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestNothingPlantedSteers: whatever stands in any field of a file in pending/ or
// repository/, nothing outside of the folder is opened, made, moved or removed, and what
// is signed is what the review shows.
func TestNothingPlantedSteers(t *testing.T) {
	t.Parallel()
	base := repotest.Folder(t)
	from, kr := planted(t)
	seen := watchOutside(t, base)
	cases := 0
	for _, name := range []string{
		"pending/change.json", "pending/journal", "pending/history.json",
		"repository/root.json", "repository/targets.json", "repository/snapshot.json", "repository/timestamp.json",
	} {
		honest, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(honest, &doc); err != nil {
			t.Fatal(err)
		}
		for i, where := range places(doc) {
			attacks := steeringAttacks(base)
			switch {
			case strings.HasPrefix(name, "repository/"):
				attacks = attacks[:1] // signed: whatever is altered is refused alike
			case name != "pending/journal":
				attacks = attacks[:5] // the rest are for names that begin as its own do
			}
			if os.Getenv("FLEET_HSM_LONG") == "" { // scripts/campaigns matrices
				attacks = attacks[i%len(attacks):][:1]
			}
			for _, attack := range attacks {
				dir := filepath.Join(base, "r")
				if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), forge(t, doc, where, attack), 0o600); err != nil {
					t.Fatal(err)
				}
				live(t, repo.Open(dir, repo.Options{}), kr)
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				cases++
				if events := seen(); len(events) > 0 {
					t.Fatalf("%s, %s = %.60q: outside of the folder %v", name, where, attack, events)
				}
			}
		}
	}
	t.Logf("%d cases", cases)
	if cases < 150 {
		t.Errorf("only %d cases: the documents have lost their fields", cases)
	}
}

// TestLinksInPendingLeadNowhere: a link in pending/ is refused by whoever reads or
// writes it, and nothing behind it is opened, cleared or moved.
func TestLinksInPendingLeadNowhere(t *testing.T) {
	t.Parallel()
	from, kr := planted(t)
	for _, name := range []string{"lock", "content", "commit", "journal", "change.json", "history.json", ".", "commit/root.json"} {
		base := repotest.Folder(t)
		seen := watchOutside(t, base)
		dir := filepath.Join(base, "r")
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "pending", name)
		to := filepath.Join(base, "outside")
		if st, err := os.Stat(link); err != nil || !st.IsDir() {
			to = filepath.Join(to, "victim")
		}
		if err := os.RemoveAll(link); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		r := repo.Open(dir, repo.Options{})
		live(t, r, kr)
		var refused *meta.RefusedError
		if _, err := r.Lock(t.Context(), "test", time.Second); !errors.As(err, &refused) || refused.Kind != meta.PathTaken {
			t.Errorf("%s: %v", name, err)
		}
		if events := seen(); len(events) > 0 {
			t.Errorf("%s: outside of the folder %v", name, events)
		}
	}
}

// planted is a folder in which a root and targets are staged, and a commit was
// interrupted.
func planted(t *testing.T) (string, repotest.Keyring) {
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "first", meta.Item{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"edge"}})
	p, c, err := repotest.Put(t, r, "second", meta.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"edge"}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = edit.Rotate(r, p, c, edit.Rotation{Role: meta.RoleRoot, Add: []meta.Key{kr.Make(t)}}, repo.StageOptions{}); err != nil {
		t.Fatal(err)
	}
	kr.Sign(t, c.Docs()[0])
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(filepath.Join(r.Dir(), "repository", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	journal := `{"schema":1,"change":false,"renames":[{"from":"commit/root.json","to":"repository/root.json"}]}`
	for name, data := range map[string]string{"commit/root.json": string(root), "journal": journal} {
		file := filepath.Join(r.Dir(), "pending", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r.Dir(), kr
}

// live does with a folder what commands do; errors are what most of it ends with.
func live(t *testing.T, r *repo.Repo, kr repotest.Keyring) {
	_, _ = r.InterruptedCommit()
	p, err := r.Load()
	if err == nil {
		_, _ = r.Staged(p)
	}
	l, err := r.Lock(t.Context(), "test", time.Second)
	if err != nil {
		return
	}
	defer l.Unlock()
	_, _ = r.Mend(false)
	if p, err = r.Load(); err != nil {
		return
	}
	c, err := r.Staged(p)
	if err != nil {
		return
	}
	review, err := diff.Of(r, p, c, nil)
	if err != nil {
		return
	}
	var shown []string
	for _, rc := range review.Roles {
		shown = append(shown, rc.Role+" "+rc.Hash)
	}
	for _, d := range c.Docs() {
		sum := sha256.Sum256(d.Payload())
		if !slices.Contains(shown, d.Role()+" "+hex.EncodeToString(sum[:])) {
			t.Errorf("%s would be signed, and the review shows %q", d.Role(), shown)
		}
	}
	_ = kr.Try(r, p, c)
}

// step names where in a document: keys and indices, and whether the key itself or the
// value is meant.
type step struct {
	path  []any
	isKey bool
}

func (s step) String() string { return fmt.Sprint(s.path, map[bool]string{true: " (name)"}[s.isKey]) }

// places lists every string of a document, and every name of a member; of members that
// are like each other (keys, targets) the first.
func places(doc any) []step {
	var out []step
	var walk func(v any, path []any)
	walk = func(v any, path []any) {
		switch v := v.(type) {
		case map[string]any:
			names := make([]string, 0, len(v))
			for name := range v {
				names = append(names, name)
			}
			slices.Sort(names)
			like := false
			for _, name := range names {
				if long := len(name) == 64 || strings.Contains(name, "/"); long && like {
					continue
				} else if long {
					like = true
				}
				at := append(slices.Clone(path), name)
				out = append(out, step{at, true})
				walk(v[name], at)
			}
		case []any:
			if len(v) > 0 {
				walk(v[0], append(slices.Clone(path), 0))
			}
		case string:
			out = append(out, step{path, false})
		}
	}
	walk(doc, nil)
	return out
}

// forge gives the document with the attack at one place.
func forge(t *testing.T, doc any, where step, attack string) []byte {
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var forged any
	if err := json.Unmarshal(data, &forged); err != nil {
		t.Fatal(err)
	}
	at := forged
	for i, s := range where.path {
		last := i == len(where.path)-1
		switch s := s.(type) {
		case string:
			m := at.(map[string]any)
			switch {
			case last && where.isKey:
				m[attack] = m[s]
				delete(m, s)
			case last:
				m[s] = attack
			default:
				at = m[s]
			}
		case int:
			list := at.([]any)
			if last {
				list[s] = attack
			} else {
				at = list[s]
			}
		}
	}
	data, err = json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// steeringAttacks lead to base/outside/victim from each depth at which we make names of
// what we read, and try what is no name at all.
func steeringAttacks(base string) []string {
	return []string{
		"../../outside/victim", "../outside/victim", "../../../outside/victim", filepath.Join(base, "outside", "victim"),
		"", "\x1b[2J\n\u202e" + strings.Repeat("x", 5000),
		"commit/../../../outside/victim", "repository/../../outside/victim",
	}
}

// watchOutside makes base/outside/victim and tells what was done beside base/r since it
// was last asked.
func watchOutside(t *testing.T, base string) func() []string {
	t.Helper()
	outside := filepath.Join(base, "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "victim"), []byte(strings.Repeat("{} ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	const changes = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_MODIFY | unix.IN_ATTRIB
	for dir, mask := range map[string]uint32{base: changes, outside: changes | unix.IN_OPEN} {
		if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
			t.Fatal(err)
		}
	}
	return func() []string {
		var out []string
		buf := make([]byte, 1<<16)
		for {
			n, err := unix.Read(fd, buf)
			if err != nil || n <= 0 {
				return out
			}
			for at := 0; at+unix.SizeofInotifyEvent <= n; {
				size := int(buf[at+12]) | int(buf[at+13])<<8
				name := strings.TrimRight(string(buf[at+unix.SizeofInotifyEvent:at+unix.SizeofInotifyEvent+size]), "\x00")
				if name != "r" {
					out = append(out, fmt.Sprintf("%q (event %x)", name, buf[at+4:at+8]))
				}
				at += unix.SizeofInotifyEvent + size
			}
		}
	}
}
