package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store/judge"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// publishJob is what a child process is told to publish.
type publishJob struct{ URL, Dir, Ledger string }

// publishAndExit is the child: the process that is killed.
func publishAndExit(job string) {
	var j publishJob
	err := json.Unmarshal([]byte(job), &j)
	var loc Location
	if err == nil {
		loc, err = Parse(j.URL)
	}
	var s Store
	if err == nil {
		s, err = Open(loc, OpenOptions{})
	}
	var p *UploadPlan
	if err == nil {
		p, err = MakePlan(context.Background(), s, Options{Dir: j.Dir, Ledger: j.Ledger})
	}
	if err == nil {
		_, err = p.Publish(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(j publishJob) *exec.Cmd {
	job, _ := json.Marshal(j)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_PUBLISH="+string(job))
	return cmd
}

// long reports whether the campaigns run in full.
func long() bool { return os.Getenv("FLEET_HSM_LONG") != "" }

// change makes the next release: files new, changed, moved to another channel, gone.
func change(r *repotest.Repo, round, files int) {
	for i := range files {
		r.Targets[fmt.Sprintf("c%d/linux/%d/c", i, round)] = fmt.Appendf(nil, "component %d version %d", i, round)
		if old := r.Targets[fmt.Sprintf("c%d/linux/%d/c", i, round-1)]; old != nil && i%2 == 0 {
			r.Targets[fmt.Sprintf("c%d/linux/stable/c", i)] = old
		}
		delete(r.Targets, fmt.Sprintf("c%d/linux/%d/c", i, round-2))
	}
	if round%7 == 3 {
		r.Root()
	}
	r.Commit()
}

// TestCrash kills publish at random times. Fleet's client, new or at the state before,
// must be able to update and to download all the time; the next publish must finish
// and send nothing that is there already.
func TestCrash(t *testing.T) {
	kills, files := 6, 8
	if long() {
		kills, files = 200, 300
	}
	for _, consistent := range []bool{true, false} {
		t.Run(fmt.Sprintf("consistent=%v", consistent), func(t *testing.T) {
			if !consistent {
				kills = max(3, kills/20) // only that it can be finished
			}
			kinds(t, func(t *testing.T, s Store) { crashLoop(t, s, repotest.New(t, consistent), kills, files) })
		})
	}
}

func crashLoop(t *testing.T, s Store, r *repotest.Repo, kills, files int) {
	j := publishJob{URL: s.String(), Dir: r.Dir, Ledger: t.TempDir() + "/ledger.json"}
	change(r, 0, files)
	start := time.Now()
	if out, err := child(j).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	took := time.Since(start)
	j2 := newJudge(t, s, r.Read("1.root.json"))
	var stop func() judge.PollReport
	if r.Consistent {
		pause := 50 * time.Millisecond // the publish should have a processor too
		if long() {
			pause = 0
		}
		stop = j2.Poll(true, t.TempDir(), pause)
	}
	killed, agent := 0, t.TempDir()
	for round := 1; killed < kills; round++ {
		change(r, round, files)
		cmd := child(j)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(took)))) // the moment of the kill
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
		}
		if r.Consistent {
			mustAccept(t, j2, agent)
		}
		finish(t, s, r, j)
		mustAccept(t, j2, agent)
		if killed%20 == 0 {
			t.Logf("%d kills in %d rounds so far", killed, round)
		}
	}
	if stop == nil {
		return
	}
	rep := stop()
	t.Logf("%d kills, %d rounds of clients polling meanwhile, %d failed", killed, rep.Rounds, rep.Failed)
	if rep.Rounds == 0 || rep.Failed > 0 {
		t.Errorf("of %d rounds %d failed: %v", rep.Rounds, rep.Failed, rep.Errors)
	}
}

func mustAccept(t *testing.T, j *judge.Judge, agent string) {
	t.Helper()
	if err := j.All(t.TempDir()); err != nil {
		t.Fatalf("a new client: %v", err)
	}
	if err := j.All(agent); err != nil {
		t.Fatalf("a client at the state before: %v", err)
	}
}

// finish publishes again and checks that it sends nothing that is there.
func finish(t *testing.T, s Store, r *repotest.Repo, j publishJob) {
	t.Helper()
	there := map[string]bool{}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		there[info.Name] = true
	}
	p, err := MakePlan(t.Context(), s, Options{Dir: r.Dir, Ledger: j.Ledger})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range p.Items {
		fixed := it.frozen || it.Step == StepContent && r.Consistent
		if fixed && there[it.Name] {
			t.Errorf("%q would be sent again", it.Name)
		}
		if it.Change == "changed" && strings.HasPrefix(it.Name, "targets/") {
			o, err := Get(t.Context(), s, it.Name, 1<<20)
			if err == nil && Bytes(o.Data).SHA512 == it.content.SHA512 {
				t.Errorf("%q would be sent again", it.Name)
			}
		}
	}
	if _, err := p.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
}
