package repo_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestFileOfAnInterruptedCommitIsLost: after each number of renames of each kind of commit, the
// file that was renamed last is taken away, and after all of them each. The lock is refused and nothing changes; who
// only reads sees what lies there. With the file back, the commit is finished as if nothing
// had been. Who mends goes on without it: nothing signed is lost, no version appears twice,
// and once the file or its content is back all clients follow.
func TestFileOfAnInterruptedCommitIsLost(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		repotest.Add(t, base, kr, "one", repotest.Item("1"))
		for name, change := range changes(kr) {
			t.Run(name, func(t *testing.T) {
				d := cutOff(t, base, kr, change)
				moves := journalOf(t, d.r)
				states := map[string]loss{}
				for k := 1; k <= len(moves); k++ {
					from := k - 1
					if k == len(moves) {
						from = 0
					}
					for _, m := range moves[from:k] {
						states[fmt.Sprintf("%s, after %d renames", m.To, k)] = loss{r: d.after(t, k), file: m.To}
					}
				}
				if err := d.r.Commit(d.rel); err != nil {
					t.Fatal(err)
				}
				for at, l := range states {
					l.bytes = repotest.Read(t, l.r, l.file)
					repotest.Remove(t, l.r, l.file)
					l.refused(t, at)
					l.broughtBack(t, at, repotest.CopyWeb(t, d.r))
					l.mended(t, at, kr, d)
				}
			})
		}
	})
}

// loss is an interrupted commit of which a file is gone.
type loss struct {
	r           *repo.Repo
	file, bytes string
}

func (l loss) refused(t *testing.T, at string) {
	t.Helper()
	before := repotest.CopyWeb(t, l.r)
	lock, err := l.r.Lock(t.Context(), "test", 0)
	if !repotest.KindIs(meta.LostFile)(err) {
		lock.Unlock()
		t.Fatalf("%s: the lock gives %v", at, err)
	}
	if !maps.Equal(repotest.CopyWeb(t, l.r), before) || repotest.Read(t, l.r, "pending/journal") == "" {
		t.Errorf("%s: the refusal changed something", at)
	}
	if waits, err := l.r.InterruptedCommit(); waits || err != nil {
		t.Errorf("%s: readers are told that it is finished: %v, %v", at, waits, err)
	}
	if found, err := l.r.Standing(nil); err != nil || len(found) != 1 || !repotest.KindIs(meta.LostFile)(found[0]) {
		t.Errorf("%s: readers are told %v, %v", at, found, err)
	}
}

func (l loss) broughtBack(t *testing.T, at string, want repotest.WebCopy) {
	t.Helper()
	dir := repotest.Folder(t)
	if err := os.CopyFS(dir, os.DirFS(l.r.Dir())); err != nil {
		t.Fatal(err)
	}
	r := repo.Open(dir, repo.Options{})
	repotest.Write(t, r, l.file, l.bytes)
	repotest.Lock(t, r)
	if !maps.Equal(repotest.CopyWeb(t, r), want) {
		t.Errorf("%s: with the file back the commit is not what it was", at)
	}
}

func (l loss) mended(t *testing.T, at string, kr repotest.Keyring, d decided) {
	t.Helper()
	lock, err := l.r.LockToMend(t.Context(), "test", 0)
	if err != nil {
		t.Fatalf("%s: who mends is refused: %v", at, err)
	}
	defer lock.Unlock()
	told := strings.Join(lock.Recovered, "\n")
	if !strings.Contains(told, fmt.Sprintf("%q, which it had put in place, is gone", l.file)) {
		t.Errorf("%s: %q does not say what is lost", at, told)
	}
	if _, err := os.Lstat(filepath.Join(l.r.Dir(), "pending/journal")); err == nil {
		t.Errorf("%s: the journal stays", at)
	}
	if _, err := l.r.Mend(false); err != nil {
		if !repotest.KindIs(meta.LostVersions)(err) && !repotest.KindIs(meta.LostRoot)(err) && !errors.Is(err, meta.ErrMetadata) {
			t.Fatalf("%s: mending says %v", at, err)
		}
		repotest.Write(t, l.r, l.file, l.bytes)
		if _, err := l.r.Mend(false); err != nil {
			t.Fatalf("%s: with the file back mending says %v", at, err)
		}
	}
	l.goesOn(t, at, kr, d)
}

// goesOn publishes something on it, and lets those follow who saw what was there before.
func (l loss) goesOn(t *testing.T, at string, kr repotest.Keyring, d decided) {
	t.Helper()
	if err := l.r.Discard(); err != nil && !errors.Is(err, repo.ErrNothingStaged) {
		t.Fatalf("%s: %v", at, err)
	}
	if strings.HasPrefix(l.file, "repository/targets/") {
		repotest.Write(t, l.r, l.file, l.bytes)
	}
	p, err := l.r.Load()
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	c, err := edit.Renew(l.r, p, nil, meta.RoleTargets, repo.StageOptions{})
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	if err := kr.Try(l.r, p, c); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	repotest.Follows(t, l.r, d.before)
	repotest.Judge(t, l.r)
}
