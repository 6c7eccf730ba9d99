package watch_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/watch"
)

// deeds are what the honest do in a day, by the hour.
func (p *publisher) deeds() map[int]func() {
	release := func() {
		p.targets["orbit/linux/stable/orbit"] = fmt.Sprintf("orbit %d", p.versions["targets"]+1)
		p.release()
	}
	unlogged := func() { // the unattended signer without a transcript, when it is due
		p.silent = true
		p.renew()
		p.silent = false
	}
	return map[int]func(){
		2: release, 4: func() { p.rotate("timestamp") }, 5: release, 8: func() { p.rotate("targets") },
		9: release, 10: release, 13: func() { p.rotate("root") }, 17: func() { p.rotate("snapshot") },
		23: unlogged,
	}
}

// TestHonestDay: 24 hours with releases, rotations of every role and renewals, at an origin
// and at edges that are behind it, with a restart every hour: nothing is told.
func TestHonestDay(t *testing.T) {
	p := newPublisher(t)
	p.validity["timestamp"] = 12 * time.Hour
	p.clock.now = p.clock.now.Add(2 * time.Hour)
	p.release()
	p.clock.now = p.clock.now.Add(2 * time.Hour)
	var all []watch.Address
	for i, delay := range []time.Duration{0, 11 * time.Minute, 55 * time.Minute} {
		all = append(all, p.address(fmt.Sprintf("edge%d", i), &edge{p: p, delay: delay}, ""))
	}
	b := p.watch(all...)
	b.cfg.Early = func(role string) time.Duration { return min(early(role), 2*time.Hour) }
	b.start()
	deeds := p.deeds()
	polls := 0
	for minute := 0; minute < 24*60; minute += 10 {
		if do := deeds[minute/60]; do != nil && minute%60 == 30 {
			do()
		}
		if minute%60 == 0 {
			b.start()
		}
		b.poll()
		b.quiet(fmt.Sprintf("minute %d", minute))
		polls++
		p.clock.now = p.clock.now.Add(10 * time.Minute)
	}
	if p.versions["root"] != 5 || p.versions["targets"] < 9 || polls != 144 {
		t.Errorf("the day was idle: %v in %d polls", p.versions, polls)
	}
}

// TestPublisherAtWork: what a publisher leaves for some seconds is no finding; what stays is.
func TestPublisherAtWork(t *testing.T) {
	p, origin, _, b := stage(t)
	p.targets["orbit/linux/stable/orbit"] = "orbit 3"
	old := p.files["snapshot.json"]
	p.release()
	origin.over[fmt.Sprintf("%d.snapshot.json", p.versions["snapshot"])] = old
	p.clock.slept = func() { clear(origin.over) }
	b.poll()
	b.quiet("a publisher at work")
}

// month follows a repository for 30 days at ten addresses; every tells each day's memory.
func month(t testing.TB, interval time.Duration, daily func(inUse uint64)) *bench {
	p := newPublisher(t)
	p.clock.now = p.clock.now.Add(time.Hour)
	var all []watch.Address
	for i := range 10 {
		all = append(all, p.address(fmt.Sprintf("edge%d", i), &edge{p: p, delay: time.Duration(i) * time.Minute}, ""))
	}
	b := p.watch(all...)
	for at := time.Duration(0); at < 30*day; at += interval {
		if at%(2*day) == day {
			p.targets["orbit/linux/stable/orbit"] = fmt.Sprintf("orbit %d", p.versions["targets"]+1)
			p.release()
		} else if at%day == 0 && at > 0 {
			p.renew()
		}
		p.forget(2 * time.Hour)
		b.poll()
		if at%day == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			daily(m.HeapInuse + m.StackInuse)
		}
		p.clock.now = p.clock.now.Add(interval)
	}
	return b
}

// TestMemoryIsFlat: a month at ten addresses.
func TestMemoryIsFlat(t *testing.T) {
	var daily []uint64
	b := month(t, 6*time.Hour, func(n uint64) { daily = append(daily, n) })
	b.quiet("a month")
	for i, n := range daily {
		if n > 40<<20 || i > 10 && n > daily[3]+2<<20 {
			t.Errorf("day %d: %.1f MiB, on day 3 it was %.1f MiB", i, float64(n)/(1<<20), float64(daily[3])/(1<<20))
		}
	}
	t.Logf("day 3: %.1f MiB, day 29: %.1f MiB", float64(daily[3])/(1<<20), float64(daily[29])/(1<<20))
}

// BenchmarkMonth is the same at an interval of 15 minutes, as docs/performance.md tells it.
func BenchmarkMonth(b *testing.B) {
	for b.Loop() {
		var last uint64
		month(b, 15*time.Minute, func(n uint64) { last = n })
		b.ReportMetric(float64(last)/(1<<20), "MiB")
	}
}

// BenchmarkNotice is the time from an attack to its event, for a poll of two addresses over HTTP.
func BenchmarkNotice(b *testing.B) {
	for _, a := range attacks() {
		b.Run(a.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				p, origin, mirror, w := stage(b)
				a.do(p, origin, mirror)
				b.StartTimer()
				w.poll()
				if !w.heard(a) {
					b.Fatal("not noticed")
				}
			}
		})
	}
}

var _ verify.Files = (*edge)(nil)
