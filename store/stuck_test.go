package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestStuckAgent: an agent that polls in a tight loop during many publishes is at the
// newest version in the end. Copying the files in another order, as a sync does, gets
// it stuck: it says that it is up to date and is not.
func TestStuckAgent(t *testing.T) {
	publishes := 20
	if long() {
		publishes = 200
	}
	kinds(t, func(t *testing.T, s Store) {
		r := repotest.New(t, true)
		r.Targets["orbit/linux/stable/orbit"] = []byte("0")
		r.Commit()
		publish(t, s, Options{Dir: r.Dir})
		j := newJudge(t, s, r.Read("1.root.json"))
		agent := t.TempDir()
		stop := j.Poll(false, agent, 0)
		for i := range publishes {
			r.Targets["orbit/linux/stable/orbit"] = []byte(strings.Repeat("x", i+1))
			r.Commit()
			publish(t, s, Options{Dir: r.Dir})
		}
		rep := stop()
		if rep.Rounds == 0 || rep.Failed > 0 {
			t.Errorf("%d of %d rounds failed: %v", rep.Failed, rep.Rounds, rep.Errors)
		}
		if got := j.TargetsVersion(agent); got != int64(r.Version["targets"]) {
			t.Errorf("the agent ended at targets version %d of %d", got, r.Version["targets"])
		}
		t.Logf("%d publishes, %d rounds, %d failed", publishes, rep.Rounds, rep.Failed)
	})
}

func TestCopyingGetsAgentsStuck(t *testing.T) {
	r := repotest.New(t, false)
	dir := t.TempDir()
	s := openTest(t, "file://"+dir, OpenOptions{})
	publish(t, s, Options{Dir: r.Dir})
	j := newJudge(t, s, r.Read("1.root.json"))
	agent := t.TempDir()
	if err := j.All(agent); err != nil {
		t.Fatal(err)
	}
	r.Targets["orbit/linux/stable/orbit"] = []byte("new")
	r.Commit()
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json", "targets/orbit/linux/stable/orbit"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, r.Read(name), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = j.All(agent) // polls after every file
	}
	if got := j.TargetsVersion(agent); got == int64(r.Version["targets"]) {
		t.Fatal("the agent is not stuck: this test has lost its subject")
	}
	r.Timestamp()
	publish(t, s, Options{Dir: r.Dir})
	if err := j.All(agent); err != nil {
		t.Error(err)
	}
	if got := j.TargetsVersion(agent); got != int64(r.Version["targets"]) {
		t.Errorf("not healed: targets version %d of %d", got, r.Version["targets"])
	}
}
