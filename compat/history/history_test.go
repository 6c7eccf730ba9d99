package history

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/peer"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for _, role := range meta.Roles() {
		if err := os.Setenv(peer.PassphraseVariable(role), "correct horse "+role); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestPublishedIsPublished: see the package doc.
func TestPublishedIsPublished(t *testing.T) {
	first, last := uint64(1), uint64(40)
	if os.Getenv("FLEET_HSM_LONG") != "" {
		last = 2000
	}
	if s := os.Getenv("FLEET_HSM_SEED"); s != "" {
		first, last = seeds(t, s)
	}
	play(t, first, last, false)
}

// TestArchivesArePublished is the same with archive, undo and prune among the commands, and
// without fleetctl, which must not write to such a folder.
func TestArchivesArePublished(t *testing.T) {
	first, last := uint64(1), uint64(10)
	if os.Getenv("FLEET_HSM_LONG") != "" {
		last = 500
	}
	if s := os.Getenv("FLEET_HSM_SEED"); s != "" {
		first, last = seeds(t, s)
	}
	play(t, first, last, true)
}

// play plays the sequences of some seeds.
func play(t *testing.T, first, last uint64, archives bool) {
	others := buildOthers(t)
	ends := map[string]int{}
	var mu sync.Mutex
	t.Cleanup(func() { t.Logf("%d sequences ended: %v", last-first+1, ends) })
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			base, err := os.MkdirTemp("/dev/shm", "fleet-hsm-history-")
			if err != nil {
				base = t.TempDir()
			}
			defer func() { _ = os.RemoveAll(base) }()
			srv := httptest.NewServer(http.FileServer(http.Dir(base)))
			defer srv.Close()
			w := newWorld(t, seed, archives, base, srv.URL)
			w.others = others
			defer w.saw.Close()
			defer w.old.Close()
			w.meet("saw the first history")
			for range 8 + w.rng.IntN(10) {
				w.step()
			}
			end := w.leadOut()
			mu.Lock()
			ends[end]++
			mu.Unlock()
			w.judge()
			if first == last {
				t.Logf("%s", strings.Join(w.told, "\n"))
			}
		})
	}
}

// seeds reads N or N-M.
func seeds(t *testing.T, s string) (first, last uint64) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		to = from
	}
	first, err := strconv.ParseUint(from, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if last, err = strconv.ParseUint(to, 10, 64); err != nil {
		t.Fatal(err)
	}
	return first, last
}

// leadOut follows the hints until add works, and says what it took.
func (w *world) leadOut() string {
	took := []string{}
	for range 6 {
		w.n++
		c := command{Op: "add", Version: w.n, Content: fmt.Sprintf("content %d", w.n)}
		w.tell("out:")
		err := w.run(c)
		if err == nil {
			took = append(took, w.contents())
			return strings.TrimSpace(strings.Join(took, " "))
		}
		took = append(took, w.follow(err))
	}
	w.fail("no hint leads out")
	return ""
}

// follow does what the hint of a refusal says.
func (w *world) follow(err error) string {
	var refused *meta.RefusedError
	var bad *meta.FileError
	switch {
	case errors.As(err, &refused) && (refused.Kind == meta.PublishedMoved || refused.Kind == meta.ChangeWaits):
		w.do("discard")
		return "discard"
	case errors.As(err, &refused) && refused.Kind == meta.RootTwice:
		return w.anew()
	case errors.As(err, &refused) && refused.Kind == meta.SignAbove:
		w.do("renew")
		return "renew"
	case errors.As(err, &bad) && bad.File == "pending/change.json":
		w.do("discard")
		return "discard"
	case errors.As(err, &refused) && refused.Kind == meta.MissingContent:
		if took := w.contents(); took != "" {
			return took
		}
		w.do("discard") // it is the staged change's
		return "discard"
	case errors.As(err, &refused) && refused.Kind == meta.ColdTrap:
		_ = w.do("archive")
		return "archive"
	case errors.As(err, &refused), errors.As(err, &bad):
		return w.mend()
	}
	w.fail("no hint is known for %v", err)
	return ""
}

func (w *world) do(op string) error {
	c := command{Op: op, Role: meta.RoleTargets}
	return w.run(c)
}

// mend is doctor --mend; where that says that something is lost, half of the worlds
// bring it back and the others give it up, unless it says that it has to be found.
func (w *world) mend() string {
	if err := w.do("mend"); err == nil {
		return "mend"
	} else if twice(err) {
		return w.anew()
	}
	if w.rng.IntN(2) == 0 && w.do("give up") == nil {
		return "give-up"
	}
	w.restore(w.newest, func(name string) bool { return strings.HasPrefix(name, "repository/") }, false)
	w.tell("out: the newest copies are brought back")
	if err := w.do("mend"); err == nil {
		return "restore"
	} else if twice(err) {
		return w.anew()
	}
	if w.do("give up") == nil {
		return "restore-give-up"
	}
	// What fleetctl signed upon an older copy contradicts it, and goes.
	w.restore(w.newest, func(name string) bool { return strings.HasPrefix(name, "repository/") }, true)
	w.tell("out: the newest copy takes the folder's place")
	if w.do("mend") == nil {
		return "restore-all"
	}
	// A mending that came to nothing may have shown clients more than any copy has.
	if err := w.do("give up"); err != nil {
		w.fail("with the newest copy in its place: %v", err)
	}
	return "restore-all-give-up"
}

// twice: the refusal says that two roots of one number were signed.
func twice(err error) bool {
	var refused *meta.RefusedError
	return errors.As(err, &refused) && refused.Kind == meta.RootTwice
}

// anew brings what is served into a new folder, which knows nothing of the other root.
func (w *world) anew() string {
	w.restore(w.newest, func(name string) bool { return strings.HasPrefix(name, "repository/") }, true)
	w.must(os.RemoveAll(filepath.Join(w.dir, "pending")))
	w.tell("out: a new folder takes what is served")
	return "new-folder"
}

// contents takes out what has no bytes any more, as verify names it.
func (w *world) contents() string {
	report := w.verify()
	gone := map[string]bool{}
	for _, f := range report.Findings {
		if f.Severity == verify.Error && strings.HasPrefix(f.File, "targets/") {
			gone[w.targetOf(f.File)] = true
		}
	}
	for _, path := range w.withoutBytes() {
		gone[path] = true
	}
	if len(gone) == 0 {
		return ""
	}
	var paths []string
	for path := range gone {
		paths = append(paths, path)
	}
	c := command{Op: "remove", Content: strings.Join(paths, "\n")}
	w.must(w.run(c))
	return "remove"
}

// withoutBytes asks repo, since verify goes no further than snapshot and targets that do
// not fit, as they are after giving up.
func (w *world) withoutBytes() []string {
	r := repo.Open(w.dir, repo.Options{})
	p, err := r.Load()
	if err != nil {
		return nil
	}
	var paths []string
	for _, path := range p.Targets.Paths() {
		t, _, err := p.Targets.Get(path)
		w.must(err)
		f, err := r.OpenContent(p, repo.Content{Length: t.Length, SHA512: t.SHA512})
		if err != nil {
			paths = append(paths, path)
			continue
		}
		w.must(f.Close())
	}
	return paths
}

func (w *world) targetOf(file string) string {
	path := strings.TrimPrefix(file, "targets/")
	if !w.consistent {
		return path
	}
	dir, name := filepath.Split(path)
	if _, rest, ok := strings.Cut(name, "."); ok && len(name) > 128 {
		name = rest
	}
	return dir + name
}

func (w *world) verify() *verify.Report {
	report, err := verify.Run(w.t.Context(), verify.Options{Source: filepath.Join(w.dir, "repository"), FromEveryRoot: true, AllTargets: true})
	w.must(err)
	return report
}

// judge demands that everybody accepts what is there.
func (w *world) judge() {
	for _, f := range w.verify().Findings {
		if f.Severity == verify.Error {
			w.fail("verify: %s", f)
		}
	}
	fresh := w.agent(w.read("repository/root.json"))
	defer fresh.Close()
	for name, a := range map[string]interface{ Update() error }{"fresh": fresh, "pinned to the oldest root": w.old, "saw the first history": w.saw} {
		if err := a.Update(); err != nil {
			w.fail("the agent %s: %v", name, err)
		}
	}
	w.meet("fresh")
	w.meet("pinned to the oldest root")
	w.meet("saw the first history")
}
