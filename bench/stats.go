package main

import (
	"cmp"
	"slices"
	"time"
)

// median of values; the mean of the middle two if their number is even.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// side is all runs of one program in one case.
type side []sample

func pick[T cmp.Ordered](s side, field func(sample) T) []T {
	out := make([]T, len(s))
	for i, one := range s {
		out[i] = field(one)
	}
	return out
}

func wallOf(s sample) time.Duration { return s.wall }

func (s side) wall() time.Duration { return median(pick(s, wallOf)) }
func (s side) cpu() time.Duration {
	return median(pick(s, func(s sample) time.Duration { return s.cpu }))
}
func (s side) written() int64 { return median(pick(s, func(s sample) int64 { return s.written })) }

func (s side) read() int64 { return median(pick(s, func(s sample) int64 { return s.read })) }

// peak is the highest of all runs: a limit on memory holds for each of them.
func (s side) peak() int64 { return slices.Max(pick(s, func(s sample) int64 { return s.peak })) }

func (s side) span() (least, most time.Duration) {
	walls := pick(s, wallOf)
	return slices.Min(walls), slices.Max(walls)
}

// ratio is the median over pairs of how many times longer a takes than b.
func ratio(a, b side) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, float64(a[i].wall)/float64(b[i].wall))
	}
	return median(ratios)
}
