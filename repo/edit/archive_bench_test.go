//go:build unix

package edit_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// lived is a repository of n targets: ten lines, a version of each at a time, all of one
// content, since nobody reads it.
func lived(b *testing.B, n int) *repotest.Daily {
	b.Helper()
	d := repotest.NewDaily(b, true)
	one := d.Item(b, "orbit", "linux", "1.0.0")
	var items []edit.StagedItem
	for v := 1; len(items) < n; v++ {
		for line := range 10 {
			it := one
			it.Item.Platform, it.Item.Version = fmt.Sprintf("linux-%d", line), fmt.Sprintf("1.0.%d", v)
			items = append(items, it)
		}
	}
	if n > 0 {
		d.Add(b, items...)
		d.Archive(b, repotest.Keep(1))
	}
	return d
}

// BenchmarkAddAfterArchive: a release does not pay for what lies in the archive. Compare
// the two.
func BenchmarkAddAfterArchive(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := lived(b, n)
			before := processor(b)
			for i := 0; b.Loop(); i++ {
				d.Add(b, d.Item(b, "orbit", "linux-1", fmt.Sprintf("2.0.%d", i), "stable"))
			}
			b.ReportMetric(float64(processor(b)-before)/1e6/float64(b.N), "ms-processor/op")
		})
	}
}

// processor is the time that this process has used, whatever else the machine does.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
