package online

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// manyTargets is a repository of so many targets without content, to be signed for.
func manyTargets(t testing.TB, targets int) *repotest.Repo {
	r := repotest.New(t, true)
	for i := range targets {
		r.Spare[fmt.Sprintf("c%d/linux/stable/c", i)] = map[string]any{"length": 1, "hashes": map[string]string{"sha512": strings.Repeat("0123456789abcdef", 8)}, "custom": map[string]string{"version": "1.0.0"}}
	}
	r.Expires["timestamp"] = time.Now().Add(200 * time.Hour)
	r.CommitWithoutTimestamp()
	r.Timestamp()
	r.Spare = nil
	return r
}

// TestFirstReadIsLean: reading and verifying a large targets.json takes little more
// memory than the file itself.
func TestFirstReadIsLean(t *testing.T) {
	r := manyTargets(t, 20000)
	st, err := os.Stat(filepath.Join(r.Dir, "targets.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{
		Store: store.Plain{Store: open(t, "file://"+r.Dir)}, Root: r.Read("1.root.json"),
		Keys: []KeySource{&memKey{key: r.Keys["timestamp"][0]}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Check(t.Context(), Request{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	took := int64(after.TotalAlloc - before.TotalAlloc)
	t.Logf("targets.json of %d bytes: %d allocated in the first check", st.Size(), took)
	if limit := st.Size()*5/4 + 1<<20; took > limit {
		t.Errorf("a targets.json of %d bytes cost %d bytes of memory, more than %d", st.Size(), took, limit)
	}
}

// BenchmarkRenew renews the timestamp of repositories of different sizes in a folder:
// the times must not differ, since targets.json is not read. "first-ms" is the first
// check, which reads and verifies it, "rss-mib" is what the process holds after it.
func BenchmarkRenew(b *testing.B) {
	for _, targets := range []int{10, 100000} {
		b.Run(fmt.Sprintf("targets=%d", targets), func(b *testing.B) {
			r := manyTargets(b, targets)
			clock := &fakeClock{now: time.Now()}
			s, err := New(Config{
				Store: store.Plain{Store: open(b, "file://"+r.Dir)}, Root: r.Read("1.root.json"), Clock: clock,
				Keys: []KeySource{&memKey{key: r.Keys["timestamp"][0]}}, MaxSkew: time.Hour,
			})
			if err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			if _, err := s.Check(b.Context(), Request{}); err != nil {
				b.Fatal(err)
			}
			first := time.Since(start)
			debug.FreeOSMemory()
			rss := residentMiB(b)
			for b.Loop() {
				clock.add(time.Second)
				if res, err := s.Check(b.Context(), Request{Always: true}); err != nil || res.Outcome != Signed {
					b.Fatal(res, err)
				}
			}
			b.ReportMetric(float64(first.Microseconds())/1000, "first-ms")
			b.ReportMetric(rss, "rss-mib")
		})
	}
}

func residentMiB(b *testing.B) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return float64(resident*os.Getpagesize()) / (1 << 20)
}
