package watch_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/watch"
)

// attack is something that goes wrong between two polls.
type attack struct {
	name string
	// do changes the repository (p) or one of its two addresses.
	do func(p *publisher, origin, mirror *site)
	// want is the kind of event, and role and place what it is about.
	want  watch.Kind
	role  string
	place string // "origin" or "mirror", "" for either
}

func attacks() []attack {
	return []attack{
		{"the timestamp is frozen and near its end", func(p *publisher, _, _ *site) { p.clock.now = p.clock.now.Add(12 * day) }, watch.ExpiresSoon, "timestamp", ""},
		{"the timestamp has expired", func(p *publisher, _, _ *site) { p.clock.now = p.clock.now.Add(15 * day) }, watch.Expired, "timestamp", ""},
		{"an older timestamp is put back", func(p *publisher, origin, _ *site) {
			origin.over["timestamp.json"] = p.history[len(p.history)-2].files["timestamp.json"]
		}, watch.WentBack, "timestamp", "origin"},
		{"a whole older state is put back", func(p *publisher, origin, _ *site) {
			for name, data := range p.history[0].files {
				origin.over[name] = data
			}
		}, watch.WentBack, "snapshot", "origin"},
		{"a mirror has other bytes for a version", func(p *publisher, _, mirror *site) {
			mirror.over["timestamp.json"] = p.again("timestamp")
		}, watch.Differs, "timestamp", "mirror"},
		{"an address has other bytes than an hour ago", func(p *publisher, origin, mirror *site) {
			data := p.again("timestamp")
			origin.over["timestamp.json"], mirror.over["timestamp.json"] = data, data
			p.clock.now = p.clock.now.Add(time.Hour)
		}, watch.Differs, "timestamp", "origin"},
		{"generations are mixed: a new timestamp over an old snapshot", func(p *publisher, origin, _ *site) {
			old := p.files["snapshot.json"]
			p.targets["orbit/linux/stable/orbit"] = "orbit 2"
			p.release()
			origin.over[fmt.Sprintf("%d.snapshot.json", p.versions["snapshot"])] = old
		}, watch.Mixed, "snapshot", "origin"},
		{"403 comes for the root that is not there yet", func(_ *publisher, _, mirror *site) { mirror.status["2.root.json"] = 403 }, watch.NextRoot, "root", "mirror"},
		{"a page comes for the root that is not there yet", func(_ *publisher, _, mirror *site) {
			mirror.over["2.root.json"] = []byte("<!DOCTYPE html><html><body>Not here</body></html>")
		}, watch.NextRoot, "root", "mirror"},
		{"a root is signed with the real keys and nobody logged it", func(p *publisher, _, _ *site) {
			p.silent = true
			p.signRoot(p.keys["root"])
			p.publish()
		}, watch.NotOurs, "root", ""},
		{"a release is signed with the real keys and nobody logged it", func(p *publisher, _, _ *site) {
			p.silent = true
			p.targets["orbit/linux/stable/orbit"] = "a back door"
			p.release()
		}, watch.NotOurs, "targets", ""},
		{"content is replaced", func(p *publisher, origin, _ *site) {
			for name := range p.files {
				if strings.HasPrefix(name, "targets/orbit/") {
					origin.over[name] = []byte("ORBIT 1")
				}
			}
		}, watch.OtherContent, "targets", "origin"},
		{"the online key is stolen: a higher timestamp that the signer did not make", func(p *publisher, origin, _ *site) {
			p.clock.now = p.clock.now.Add(time.Hour)
			p.silent = true
			p.renew()
		}, watch.NotOurs, "timestamp", ""},
		{"the online key is stolen: a timestamp that nothing can follow", func(p *publisher, origin, _ *site) {
			p.silent = true
			p.versions["timestamp"] = 1<<53 - 2
			p.renew()
		}, watch.Leap, "timestamp", ""},
		{"an address is down", func(_ *publisher, _, mirror *site) { mirror.status["timestamp.json"] = -1 }, watch.Unreachable, "", "mirror"},
		{"signatures do not hold", func(p *publisher, origin, _ *site) {
			origin.over["timestamp.json"] = bytes.Replace(p.files["timestamp.json"], []byte(`"spec_version":"1.0"`), []byte(`"spec_version":"1.0.1"`), 1)
		}, watch.Refused, "timestamp", "origin"},
		{"the transcript is altered", func(p *publisher, _, _ *site) { alter(p.t, p.transcript) }, watch.NoTranscript, "", ""},
	}
}

// again signs the present version of timestamp once more, with another expiry.
func (p *publisher) again(role string) []byte {
	p.silent = true
	defer func() { p.silent = false }()
	p.versions[role]--
	p.validity[role] += time.Minute
	return p.sign(role, map[string]any{"meta": map[string]any{"snapshot.json": fileMeta(p.files["snapshot.json"], p.versions["snapshot"])}}, p.keys[role])
}

// stage makes a repository with some history, at two addresses that were watched before.
func stage(t testing.TB) (*publisher, *site, *site, *bench) {
	p := newPublisher(t)
	p.clock.now = p.clock.now.Add(time.Hour)
	p.targets["osqueryd/linux/stable/osqueryd"] = "osqueryd 2"
	p.release()
	origin, mirror := p.site(), p.site()
	b := p.watch(p.address("origin", nil, origin.url), p.address("mirror", nil, mirror.url))
	b.poll()
	b.quiet("nothing is wrong")
	return p, origin, mirror, b
}

// TestAttacks: each is noticed by the first poll after it, by a process that was started
// again in between.
func TestAttacks(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p, origin, mirror, b := stage(t)
			a.do(p, origin, mirror)
			b.start()
			b.poll()
			if !b.heard(a) {
				t.Errorf("no %s of %s at %q among %s", a.want, a.role, a.place, b.events)
			}
			// It is told once, and is still there.
			b.events = nil
			b.start()
			b.poll()
			if len(b.events) > 0 {
				t.Errorf("told again: %s", b.events)
			}
			if len(b.s.Findings()) == 0 {
				t.Error("it is forgotten")
			}
		})
	}
}

func (b *bench) heard(a attack) bool {
	for _, e := range b.events {
		if e.Kind == a.want && e.State == "begins" && (a.role == "" || e.Role == a.role) && (a.place == "" || e.Address == a.place) {
			return true
		}
	}
	return false
}

// TestFirstPoll: what does not need a memory is noticed by a watch that begins today.
func TestFirstPoll(t *testing.T) {
	for _, a := range attacks() {
		memory := a.want == watch.WentBack || strings.Contains(a.name, "an hour ago")
		if memory {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p, origin, mirror, b := stage(t)
			a.do(p, origin, mirror)
			b.cfg.StateFile = ""
			b.start()
			b.poll()
			if !b.heard(a) {
				t.Errorf("no %s of %s at %q among %s", a.want, a.role, a.place, b.events)
			}
		})
	}
}

// TestStandsStill: an address may be behind for as long as caches are, and no longer.
func TestStandsStill(t *testing.T) {
	p, _, mirror, b := stage(t)
	for name, data := range p.state(0) {
		mirror.over[name] = data
	}
	p.targets["orbit/linux/stable/orbit"] = "orbit 2"
	p.release()
	b.poll()
	p.clock.now = p.clock.now.Add(50 * time.Minute)
	b.poll()
	b.quiet("within the delay")
	p.clock.now = p.clock.now.Add(15 * time.Minute)
	b.poll()
	if !b.heard(attack{want: watch.StandsStill, role: "targets", place: "mirror"}) {
		t.Errorf("after the delay: %s", b.events)
	}
	b.events = nil
	clear(mirror.over)
	b.poll()
	for _, e := range b.events {
		if e.State != "ends" {
			t.Errorf("all is well: %s", e)
		}
	}
	if len(b.events) == 0 || len(b.s.Findings()) > 0 {
		t.Errorf("it did not end: %v", b.s.Findings())
	}
}
