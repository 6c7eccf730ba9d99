package orbit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
)

// requests gives the paths asked for since the last call, each with " 404" if missing.
func (s *site) requests() []string {
	var out []string
	for line := range strings.Lines(s.log.take()) {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "GET /"), " 200"))
	}
	return out
}

func (s *site) asked(what string, want ...string) {
	s.t.Helper()
	if got := s.requests(); !slices.Equal(got, want) {
		s.t.Errorf("%s: asked for %q, want %q", what, got, want)
	}
}

// The requests of a flat repository, in order: what caches and mirrors must carry.
func TestRequestOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	agent := s.open(t.TempDir())
	s.asked("init")
	s.must(agent.Update())
	s.asked("first update", "2.root.json 404", "timestamp.json", "snapshot.json", "targets.json")
	s.must(agent.Update())
	s.asked("nothing new", "2.root.json 404", "timestamp.json")
	s.must(s.SignTimestamp())
	s.must(agent.Update())
	s.asked("after timestamp", "2.root.json 404", "timestamp.json", "snapshot.json")
	s.must(errors.Join(s.Add("orbit/linux/edge/orbit", "1.1.0", content("1.1.0")), s.Rest()))
	s.must(agent.Update())
	s.asked("after add", "2.root.json 404", "timestamp.json", "snapshot.json", "targets.json")
	s.must(s.All())
	s.must(agent.Update())
	s.asked("after a new root", "2.root.json", "3.root.json 404", "timestamp.json", "snapshot.json", "targets.json")
	_, err := agent.Lookup(probe)
	s.must(err)
	s.asked("lookup")
	_, err = agent.Check(probe)
	s.must(err)
	s.asked("download", "targets/"+probe)
}

func TestRequestOrderConsistent(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(r *forge.Repo) { r.Consistent = true })
	agent := s.open(t.TempDir())
	s.must(agent.Update())
	s.asked("first update", "2.root.json 404", "timestamp.json", "1.snapshot.json", "1.targets.json")
	meta, err := agent.Check(probe)
	s.must(err)
	s.asked("download", fmt.Sprintf("targets/orbit/linux/stable/%s.orbit", meta.Hashes["sha512"]))
}

// Turning consistent snapshots on takes effect at once: what was there under its
// plain name only is gone.
func TestTurnedConsistent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	agent := s.open(t.TempDir())
	s.must(agent.Update())
	s.Consistent = true
	s.must(s.All())
	s.must(agent.Update())
	_, err := agent.Check(probe)
	refused(t, "a target without a hashed copy", err)
	s.must(s.Add(probe, "1.0.0", content("1.0.0")))
	if _, err := agent.Check(probe); err != nil {
		t.Errorf("with its hashed copy: %v", err)
	}
}

// Only 404 means that there is no newer root.
func TestStatusCodes(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		ok     bool
	}{
		{http.StatusNotFound, "", true},
		{http.StatusForbidden, "", false},
		{http.StatusGone, "", false},
		{http.StatusInternalServerError, "", false},
		{http.StatusOK, "<html>welcome</html>", false},
		{http.StatusNoContent, "", false},
	} {
		s := newSite(t)
		behind := s.server.Config.Handler
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/2.root.json" {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return
			}
			behind.ServeHTTP(w, r)
		}))
		t.Cleanup(front.Close)
		err := follow(front.URL, "", s.file("1.root.json"))
		if (err == nil) != c.ok {
			t.Errorf("status %d: %v, want success %t", c.status, err, c.ok)
		}
	}
}

// Every request is a plain GET that says who asks.
func TestRequestForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	behind := s.server.Config.Handler
	var mu sync.Mutex
	var odd []string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plain := r.Method == http.MethodGet && r.URL.RawQuery == "" && r.Header.Get("Range") == "" &&
			r.Header.Get("If-Modified-Since") == "" && r.Header.Get("If-None-Match") == ""
		if !plain || r.UserAgent() != orbit.UserAgent() || !strings.HasPrefix(r.UserAgent(), "orbit/") {
			mu.Lock()
			odd = append(odd, fmt.Sprint(r.Method, r.URL, r.Header))
			mu.Unlock()
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.must(follow(front.URL, t.TempDir(), s.file("1.root.json")))
	if len(odd) > 0 {
		t.Errorf("odd requests: %q", odd)
	}
}

// Roots: one signed by old and new keys is followed over many versions and from an
// expired start; one that the old keys did not sign, or a gap, is not.
func TestRootChain(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(r *forge.Repo) {
		r.Roles["root"].Expires = time.Now().Add(-24 * time.Hour).Round(time.Second)
	})
	root := s.Roles["root"]
	root.Expires = time.Now().Add(time.Hour).Round(time.Second)
	for range 5 {
		next := forge.Ed25519()
		root.Signers = []forge.Key{root.Keys[0], next}
		root.Keys = []forge.Key{next}
		s.must(s.All())
	}
	agent := s.open("")
	s.must(agent.Update())
	if v := s.versions(agent); v.Root != 6 {
		t.Errorf("root %d after five rotations, want 6", v.Root)
	}
	root.Signers = []forge.Key{forge.Ed25519()}
	root.Keys = root.Signers
	s.must(s.All())
	refused(t, "a root that the old key did not sign", agent.Update())

	gap := newSite(t)
	gap.must(gap.All())
	gap.Roles["timestamp"].Keys = []forge.Key{forge.Ed25519()}
	gap.must(gap.All())
	first, missing := gap.file("1.root.json"), gap.file("2.root.json")
	gap.must(gap.remove("2.root.json"))
	refused(t, "a chain without 2.root.json", follow(gap.server.URL, "", first))
	gap.put("2.root.json", missing)
	gap.must(follow(gap.server.URL, "", first))
}

// Versions that fall, and metadata over the client's limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.file("timestamp.json")
	agent := s.open(t.TempDir())
	s.must(s.SignTimestamp())
	s.must(agent.Update())
	s.put("timestamp.json", old)
	refused(t, "a timestamp version that fell", agent.Update())

	s.must(s.SignTimestamp())
	s.put("timestamp.json", append(s.file("timestamp.json"), strings.Repeat(" ", 16384)...))
	refused(t, "a timestamp over 16,384 bytes", agent.Update())
	refused(t, "the same, cold", s.open("").Update())

	s.must(s.SignTimestamp())
	s.put("2.root.json", append(s.file("root.json"), strings.Repeat(" ", 512000)...))
	refused(t, "a root over 512,000 bytes", agent.Update())
}
