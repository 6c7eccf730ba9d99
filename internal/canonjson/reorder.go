package canonjson

import (
	"bytes"
	"slices"
)

// Reorder writes a JSON value in canonical form by moving its bytes: keys are sorted
// and blanks between tokens dropped. ok is false for what is not JSON, and for what
// moving alone does not make canonical: escapes other than \\ and \", escapes in keys,
// a key twice, numbers beyond 15 digits.
func Reorder(raw []byte) (out []byte, ok bool) {
	r := reorderer{scanner: scanner{b: raw}, out: make([]byte, 0, len(raw))}
	r.blanks()
	ok = r.value(0)
	r.blanks()
	return r.out, ok && r.i == len(raw)
}

type reorderer struct {
	scanner
	out []byte
	// members are those of the objects that are being read, the innermost last.
	members []moved
	spare   []byte
}

// moved is a member of an object, as it stands in out.
type moved struct {
	key      []byte // without quotation marks, in the input
	from, to int    // "key":value
}

func (r *reorderer) value(depth int) bool {
	if depth > MaxDepth || r.i >= len(r.b) {
		return false
	}
	switch r.b[r.i] {
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	}
	start := r.i
	ok := r.scanner.value(depth)
	r.out = append(r.out, r.b[start:r.i]...)
	return ok
}

func (r *reorderer) object(depth int) bool {
	r.i++
	first, start := len(r.members), len(r.out)
	r.out = append(r.out, '{')
	for r.blanks(); !r.eat('}'); r.blanks() {
		if len(r.members) > first {
			if !r.eat(',') {
				return false
			}
			r.blanks()
			r.out = append(r.out, ',')
		}
		if !r.member(depth) {
			return false
		}
	}
	ok := r.sort(r.members[first:], start)
	r.members = r.members[:first]
	r.out = append(r.out, '}')
	return ok
}

func (r *reorderer) member(depth int) bool {
	from, start := len(r.out), r.i
	key, escaped, ok := r.str()
	if !ok || escaped {
		return false
	}
	r.out = append(r.out, r.b[start:r.i]...)
	r.blanks()
	if !r.eat(':') {
		return false
	}
	r.out = append(r.out, ':')
	r.blanks()
	if !r.value(depth + 1) {
		return false
	}
	r.members = append(r.members, moved{key, from, len(r.out)})
	return true
}

// sort puts the members of the object that begins at start in order; false if two have
// the same key.
func (r *reorderer) sort(members []moved, start int) bool {
	byKey := func(a, b moved) int { return bytes.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(members, byKey) {
		slices.SortFunc(members, byKey)
		r.spare = append(r.spare[:0], r.out[start:]...)
		r.out = r.out[:start+1]
		for i, m := range members {
			if i > 0 {
				r.out = append(r.out, ',')
			}
			r.out = append(r.out, r.spare[m.from-start:m.to-start]...)
		}
	}
	for i := range len(members) - 1 {
		if bytes.Equal(members[i].key, members[i+1].key) {
			return false
		}
	}
	return true
}

func (r *reorderer) array(depth int) bool {
	r.i++
	r.out = append(r.out, '[')
	r.blanks()
	if r.eat(']') {
		r.out = append(r.out, ']')
		return true
	}
	for {
		r.blanks()
		if !r.value(depth + 1) {
			return false
		}
		r.blanks()
		if r.eat(']') {
			r.out = append(r.out, ']')
			return true
		}
		if !r.eat(',') {
			return false
		}
		r.out = append(r.out, ',')
	}
}
