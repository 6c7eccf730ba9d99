package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	const size = 3 << 20
	out := filepath.Join(t.TempDir(), "out")
	s, err := measure(command{path: "dd", args: []string{"if=/dev/zero", "of=" + out, "bs=1M", "count=3"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.written < size || s.written > size+size/10 {
		t.Errorf("%d bytes written, want about %d", s.written, size)
	}
	if s.wall <= 0 || s.peak <= 0 {
		t.Errorf("wall %v, peak %d", s.wall, s.peak)
	}
	if _, err := measure(command{path: "sh", args: []string{"-c", "echo because >&2; exit 3"}}); err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("a failing program gives %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []int64
		want   int64
	}{{nil, 0}, {[]int64{7}, 7}, {[]int64{9, 1}, 5}, {[]int64{9, 1, 2}, 2}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %d, want %d", c.values, got, c.want)
		}
	}
}

func TestInTurn(t *testing.T) {
	var order strings.Builder
	one := func(name string) func() (sample, error) {
		return func() (sample, error) { order.WriteString(name); return sample{wall: time.Second}, nil }
	}
	sides, err := inTurn(3, one("a"), one("b"))
	if err != nil || order.String() != "abbaab" || len(sides[0]) != 3 || len(sides[1]) != 3 {
		t.Errorf("order %q, sides %v, error %v", order.String(), sides, err)
	}
}

func TestReport(t *testing.T) {
	b := newBench(options{}, t.TempDir(), "")
	slow, fast := side{{wall: 4 * time.Second, cpu: 3 * time.Second, written: 8e8, peak: 1e8}}, side{{wall: time.Second, cpu: time.Second / 2, written: 1e8, peak: 5e7}}
	b.add(row{"`add`", slow, fast})
	b.add(row{"`--help`", nil, fast})
	b.aim(true, "at least 3 times", "%.1f", ratio(slow, fast))
	b.aim(false, "at least 5 times", "%.1f", ratio(slow, fast))
	var out bytes.Buffer
	if err := b.report(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `add` | 4.000 (4.000-4.000) | 1.000 (1.000-1.000) | 4.0 | 3.00 / 0.50 | 800.0 / 100.0 | 100 / 50 |",
		"| `--help` |  | 1.000 (1.000-1.000) |  | 0.50 | 100.0 | 50 |",
		"| at least 3 times | 4.0 | yes |", "| at least 5 times | 4.0 | **no** |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in:\n%s", want, &out)
		}
	}
	if missed := b.missed(); len(missed) != 1 {
		t.Errorf("missed %q", missed)
	}
}
