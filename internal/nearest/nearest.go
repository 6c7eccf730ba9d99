// Package nearest finds what somebody who mistyped a word may have meant. It only
// proposes; nothing is done with another word than the one that was typed.
package nearest

import "strings"

// To gives the known word that is nearest to a mistyped one: one or two slips away (a
// letter that is missing, too much, another, or two that changed places), or one that
// the word is the beginning of. "" if there is none, or if the word itself is known.
func To(word string, known []string) string {
	best, least := "", 3
	w := strings.ToLower(word)
	for _, k := range known {
		if k == word {
			return ""
		}
		if k == "" {
			continue
		}
		d := slips(w, strings.ToLower(k))
		if d > allowed(w) && len(w) >= 3 && strings.HasPrefix(strings.ToLower(k), w) {
			d = 2
		} else if d > allowed(w) {
			continue
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// allowed: in a short word every other word is near.
func allowed(word string) int {
	switch {
	case len(word) < 3:
		return 0
	case len(word) < 5:
		return 1
	}
	return 2
}

// slips counts them (optimal string alignment).
func slips(a, b string) int {
	if a == b {
		return 0
	}
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > 2 || len(y)-len(x) > 2 {
		return 3
	}
	before, row := []int(nil), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		next := make([]int, len(y)+1)
		next[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(y)]
}
