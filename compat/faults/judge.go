package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
	"github.com/theupdateframework/go-tuf/client"
	"github.com/theupdateframework/go-tuf/data"
)

// judge serves the work folder and looks at repositories in it as agents do.
type judge struct {
	work   string
	server *httptest.Server
}

func newJudge(work string) (*judge, error) {
	h, err := webroot.New(work, nil)
	if err != nil {
		return nil, err
	}
	return &judge{work: work, server: httptest.NewServer(http.Handler(h))}, nil
}

func (j *judge) url(dir string) string {
	return j.server.URL + strings.TrimPrefix(dir, j.work) + "/repository"
}

// sight is what one agent saw.
type sight struct {
	versions orbit.Versions
	world    world
	err      error
}

// in says why the sight is not a whole one of the given worlds, "" if it is.
func (s sight) in(may worlds) string {
	if s.err != nil {
		return s.err.Error()
	}
	if !may.has(s.world) {
		return fmt.Sprintf("holds a world that no command explains: %v", s.world.brief())
	}
	return ""
}

func (w world) brief() map[string]string {
	out := map[string]string{}
	for p, s := range w {
		out[p] = s[:8]
	}
	return out
}

// look lets an agent update and check every byte of every target. state is its
// folder; empty for a cold one that keeps nothing.
func (j *judge) look(dir, state string) sight {
	root, err := os.ReadFile(filepath.Join(dir, "repository", "1.root.json"))
	if err != nil {
		return sight{err: err}
	}
	agent, err := orbit.Open(orbit.Options{URL: j.url(dir), Dir: state, Root: root})
	if err != nil {
		return sight{err: err}
	}
	defer agent.Close()
	return seen(agent, dir)
}

func seen(agent *orbit.Agent, dir string) sight {
	if err := agent.Update(); err != nil {
		return sight{err: err}
	}
	s := sight{world: world{}}
	err := agent.CheckAll(func(name string, meta data.TargetFileMeta, err error) {
		if err != nil && s.err == nil {
			s.err = err
		}
		s.world[name] = fmt.Sprintf("%x", []byte(meta.Hashes["sha512"]))
	})
	if s.err == nil {
		s.err = err
	}
	if s.err == nil && exists(dir, "repository", "archive-orbit-linux.json") {
		s.err = s.pinned(agent)
	}
	if v, err := agent.Versions(); err == nil {
		s.versions = v
	}
	return s
}

// oldVersions are those that archive moves, and agents may be pinned to.
var oldVersions = []string{"0.9.0", "0.9.1", "0.9.2"}

// pinned looks for the old versions, wherever they lie. Once an entry has left a role that
// an agent has stored it finds nothing, once, and has the new role then (COMPAT 6).
func (s sight) pinned(agent *orbit.Agent) error {
	for _, version := range oldVersions {
		name := "orbit/linux/" + version + "/orbit"
		if s.world[name] != "" {
			continue
		}
		meta, err := agent.Check(name)
		if notFound(err) {
			meta, err = agent.Check(name)
		}
		if notFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		s.world[name] = fmt.Sprintf("%x", []byte(meta.Hashes["sha512"]))
	}
	return nil
}

func notFound(err error) bool {
	var missing client.ErrNotFound
	return errors.As(err, &missing)
}

// witnesses are the agents that judge one wreck.
type witnesses struct {
	j *judge
	// dir is the repository, base the state folder of an agent from before the fault.
	dir, base, scratch string
	// wreck is what the agents saw before any command ran; its agent goes on.
	running string
}

func (j *judge) witnesses(dir, base, scratch string) (*witnesses, error) {
	w := &witnesses{j: j, dir: dir, base: base, scratch: scratch, running: filepath.Join(scratch, "running")}
	return w, copyTree(base, w.running)
}

// now lets the running agent and a cold one look: [running, cold].
func (w *witnesses) now() [2]sight {
	return [2]sight{w.j.look(w.dir, w.running), w.j.look(w.dir, "")}
}

var names = [3]string{"the agent that polled the wreck", "a cold agent", "the agent from before the fault"}

// end lets all three look; they must agree.
func (w *witnesses) end(may worlds) (string, error) {
	before := filepath.Join(w.scratch, "before")
	if err := copyTree(w.base, before); err != nil {
		return "", err
	}
	pair := w.now()
	all := [3]sight{pair[0], pair[1], w.j.look(w.dir, before)}
	for i, s := range all {
		if why := s.in(may); why != "" {
			return names[i] + ": " + why, nil
		}
		if s.versions != all[0].versions {
			return fmt.Sprintf("%s holds %+v, %s %+v", names[i], s.versions, names[0], all[0].versions), nil
		}
	}
	return "", nil
}
