package orbit_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
	"github.com/theupdateframework/go-tuf/client"
	"github.com/theupdateframework/go-tuf/data"
)

// site is a forged repository, served, with whatever requests it saw.
type site struct {
	*forge.Repo
	t      *testing.T
	server *httptest.Server
	log    *requestLog
}

// requestLog is written by the server and read by the test.
type requestLog struct {
	mu    sync.Mutex
	lines []byte
}

func (l *requestLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, p...)
	return len(p), nil
}

// take gives what was written since the last call.
func (l *requestLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := string(l.lines)
	l.lines = nil
	return lines
}

// newSite publishes one target, version 1.0.0, in a repository of Ed25519 keys.
func newSite(t *testing.T, change ...func(*forge.Repo)) *site {
	t.Helper()
	s := &site{Repo: forge.New(t.TempDir(), forge.Ed25519), t: t, log: &requestLog{}}
	for _, c := range change {
		c(s.Repo)
	}
	s.must(s.Add(probe, "1.0.0", []byte("orbit 1.0.0\n")))
	s.must(s.All())
	handler, err := webroot.New(s.Dir, s.log)
	s.must(err)
	s.server = httptest.NewServer(handler)
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// file reads a published file; put writes one.
func (s *site) file(name string) []byte { return readFile(s.t, s.Dir, filepath.FromSlash(name)) }

func (s *site) put(name string, content []byte) {
	s.t.Helper()
	s.must(os.WriteFile(filepath.Join(s.Dir, filepath.FromSlash(name)), content, 0o644))
}

// open starts the agent whose folder is state; "" is a cold one.
func (s *site) open(state string) *orbit.Agent {
	s.t.Helper()
	agent, err := orbit.Open(orbit.Options{URL: s.server.URL, Dir: state, Root: s.file("1.root.json")})
	s.must(err)
	s.t.Cleanup(agent.Close)
	return agent
}

func (s *site) versions(agent *orbit.Agent) orbit.Versions {
	s.t.Helper()
	v, err := agent.Versions()
	s.must(err)
	return v
}

// content is what the target probe holds in the next version.
func content(version string) []byte { return []byte("orbit " + version + "\n") }

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted", what)
	}
}

// A target whose bytes are not the signed ones, in each way that an overwritten
// channel file can differ.
func TestWrongContent(t *testing.T) {
	for name, bad := range map[string][]byte{
		"other bytes":      []byte("orbit 6.6.6\n"),
		"a tail behind it": []byte("orbit 1.0.0\ntail"),
		"cut short":        []byte("orbit 1"),
		"empty":            {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			agent := s.open(t.TempDir())
			s.must(agent.Update())
			if _, err := agent.Check(probe); err != nil {
				t.Fatal(err)
			}
			s.put("targets/"+probe, bad)
			_, err := agent.Check(probe)
			refused(t, "Check", err)
			dst := filepath.Join(t.TempDir(), "orbit")
			_, err = agent.Download(probe, dst)
			refused(t, "Download", err)
			if left, _ := os.ReadDir(filepath.Dir(dst)); len(left) != 0 {
				t.Errorf("the refused download left %q", left[0].Name())
			}
		})
	}
}

// Flat layout: an overwritten channel file always has a window, on both sides.
func TestMixedFlatStates(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.open("")
	s.must(old.Update())
	s.must(s.Add(probe, "1.1.0", content("1.1.0")))
	_, err := old.Check(probe)
	refused(t, "new target, old metadata", err)
	s.must(s.Rest())
	s.put("targets/"+probe, content("1.0.0"))
	s.must(old.Update())
	_, err = old.Check(probe)
	refused(t, "old target, new metadata", err)
	s.put("targets/"+probe, content("1.1.0"))
	if _, err := old.Check(probe); err != nil {
		t.Errorf("both new: %v", err)
	}
}

// Snapshot and targets new, timestamp old: agents that know the old state see nothing
// new, agents that come now fail. The same with consistent snapshots harms nobody.
func TestTimestampNotYet(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		s := newSite(t, func(r *forge.Repo) { r.Consistent = consistent })
		known := s.open(t.TempDir())
		s.must(known.Update())
		s.must(s.Add("orbit/linux/edge/orbit", "1.1.0", content("1.1.0")))
		s.must(errors.Join(s.SignTargets(), s.SignSnapshot()))
		if err := known.Update(); err != nil {
			t.Errorf("consistent %t: a known agent: %v", consistent, err)
		}
		if err := s.open("").Update(); (err == nil) != consistent {
			t.Errorf("consistent %t: a new agent: %v", consistent, err)
		}
		s.must(s.SignTimestamp())
		s.must(known.Update())
		s.must(s.open("").Update())
	}
}

// The worst one: an agent that sees the new timestamp before its snapshot fails once,
// then reports success for ever and stays on the old targets, also after a restart,
// until the timestamp's version rises again.
func TestStuckAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	state := t.TempDir()
	agent := s.open(state)
	s.must(agent.Update())
	oldSnapshot, oldTargets := s.file("snapshot.json"), s.file("targets.json")

	const edge = "orbit/linux/edge/orbit"
	s.must(s.Add(edge, "1.1.0", content("1.1.0")))
	s.must(s.Rest())
	newSnapshot, newTargets := s.file("snapshot.json"), s.file("targets.json")
	s.put("snapshot.json", oldSnapshot)
	s.put("targets.json", oldTargets)
	refused(t, "new timestamp, old snapshot", agent.Update())

	s.put("snapshot.json", newSnapshot)
	s.put("targets.json", newTargets)
	for name, a := range map[string]*orbit.Agent{"running": agent, "restarted": s.open(state)} {
		if err := a.Update(); err != nil {
			t.Errorf("%s: %v, want the false success", name, err)
		}
		if v := s.versions(a); v.Timestamp != 2 || v.Targets != 1 {
			t.Errorf("%s: versions %+v, want timestamp 2 and targets 1", name, v)
		}
		if _, err := a.Lookup(edge); err == nil {
			t.Errorf("%s: the new target is known", name)
		}
	}
	s.must(s.SignTimestamp())
	healed := s.open(state)
	s.must(healed.Update())
	if _, err := healed.Check(edge); err != nil {
		t.Errorf("after one more timestamp: %v", err)
	}
}

// A root that replaces the targets key while the timestamp stays: update succeeds and
// lookups fail, also after a restart.
func TestTargetsKeyReplacedWithoutTimestamp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	state := t.TempDir()
	agent := s.open(state)
	s.must(agent.Update())
	s.Roles["targets"].Keys = []forge.Key{forge.Ed25519()}
	s.must(errors.Join(s.SignRoot(), s.SignTargets(), s.SignSnapshot()))
	for name, a := range map[string]*orbit.Agent{"running": agent, "restarted": s.open(state)} {
		if err := a.Update(); err != nil {
			t.Errorf("%s: %v, want the false success", name, err)
		}
		if _, err := a.Lookup(probe); !errors.Is(err, client.ErrNoLocalSnapshot) {
			t.Errorf("%s: lookup gives %v, want %v", name, err, client.ErrNoLocalSnapshot)
		}
		if err := a.CheckAll(func(string, data.TargetFileMeta, error) {}); err == nil {
			t.Errorf("%s: CheckAll passes", name)
		}
	}
	s.must(s.SignTimestamp())
	s.must(agent.Update())
	if _, err := agent.Check(probe); err != nil {
		t.Errorf("after one more timestamp: %v", err)
	}
}

// The store compacts what it saves, so after a restart indented metadata does not
// match the snapshot: the agent fetches targets.json at its first lookup, and fails
// without a server.
func TestIndentedMetadata(t *testing.T) {
	for _, indent := range []bool{false, true} {
		s := newSite(t, func(r *forge.Repo) { r.Indent = indent })
		state := t.TempDir()
		agent := s.open(state)
		s.must(agent.Update())
		if _, err := agent.Check(probe); err != nil {
			t.Errorf("indent %t: before the restart: %v", indent, err)
		}
		restarted := s.open(state)
		s.log.take()
		if _, err := restarted.Lookup(probe); err != nil {
			t.Errorf("indent %t: after the restart: %v", indent, err)
		}
		if asked := s.log.take(); (asked != "") != indent {
			t.Errorf("indent %t: a lookup after the restart asked for %q", indent, asked)
		}
		offline := s.open(state)
		s.server.Close()
		if _, err := offline.Lookup(probe); (err != nil) != indent {
			t.Errorf("indent %t: lookup without a server: %v", indent, err)
		}
	}
}

// Metadata that runs out while an agent holds it: Fleet's own table. The state is
// written as an agent would have left it before.
func TestExpiredRoles(t *testing.T) {
	for _, c := range []struct {
		role           string
		update, lookup bool
	}{
		{"root", false, false}, {"timestamp", false, true},
		{"snapshot", true, false}, {"targets", true, false},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(r *forge.Repo) {
				r.Roles[c.role].Expires = time.Now().Add(-time.Hour).Round(time.Second)
			})
			agent := s.open(s.state())
			if err := agent.Update(); (err == nil) != c.update {
				t.Errorf("update: %v, want success %t", err, c.update)
			}
			if _, err := agent.Lookup(probe); (err == nil) != c.lookup {
				t.Errorf("lookup: %v, want success %t", err, c.lookup)
			}
			if err := agent.CheckAll(func(string, data.TargetFileMeta, error) {}); (err == nil) != c.lookup {
				t.Errorf("CheckAll: %v, want success %t", err, c.lookup)
			}
			refused(t, "a cold agent", s.open("").Update())
		})
	}
}

// state is the folder of an agent that holds what is published, however it got there.
func (s *site) state() string {
	s.t.Helper()
	meta := map[string]json.RawMessage{}
	for _, role := range forge.RoleNames() {
		meta[role+".json"] = s.file(role + ".json")
	}
	content, err := json.Marshal(meta)
	s.must(err)
	dir := s.t.TempDir()
	s.must(os.WriteFile(filepath.Join(dir, orbit.StoreFile), content, 0o600))
	return dir
}

func (s *site) remove(name string) error {
	return os.Remove(filepath.Join(s.Dir, filepath.FromSlash(name)))
}
