// Package canonjson handles large JSON without decoding it: it tells whether it is in
// canonical form already (OLPC canonical JSON, the form that TUF metadata is signed in),
// brings it into that form by moving its bytes, and takes an object apart. What we write
// is canonical; what go-tuf and fleetctl write has its keys in another order. To decode
// a large targets.json and encode it again would cost twenty times the time and ten
// times the memory. What these functions say no to has to be decoded.
package canonjson

import "unicode/utf8"

// MaxDepth bounds the nesting of metadata; real metadata needs seven levels.
const MaxDepth = 64

// Is reports whether raw is valid JSON in canonical form. It may say no to
// canonical input with escapes in object keys or numbers beyond 2^53; it never says
// yes to anything else.
func Is(raw []byte) bool {
	s := scanner{b: raw}
	return s.value(0) && s.i == len(raw)
}

type scanner struct {
	b []byte
	i int
}

func (s *scanner) eat(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) value(depth int) bool {
	if depth > MaxDepth || s.i >= len(s.b) {
		return false
	}
	switch s.b[s.i] {
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case '"':
		_, _, ok := s.str()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) object(depth int) bool {
	s.i++
	if s.eat('}') {
		return true
	}
	var last []byte
	for first := true; ; first = false {
		key, escaped, ok := s.str()
		if !ok || escaped || !first && string(last) >= string(key) {
			return false
		}
		last = key
		if !s.eat(':') || !s.value(depth+1) {
			return false
		}
		if s.eat('}') {
			return true
		}
		if !s.eat(',') {
			return false
		}
	}
}

func (s *scanner) array(depth int) bool {
	s.i++
	if s.eat(']') {
		return true
	}
	for {
		if !s.value(depth + 1) {
			return false
		}
		if s.eat(']') {
			return true
		}
		if !s.eat(',') {
			return false
		}
	}
}

// str reads a string and returns its raw inside and whether it holds an escape.
func (s *scanner) str() (inside []byte, escaped, ok bool) {
	if !s.eat('"') {
		return nil, false, false
	}
	start, ascii := s.i, true
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			inside = s.b[start:s.i]
			s.i++
			return inside, escaped, ascii || utf8.Valid(inside)
		case c == '\\':
			if s.i+1 >= len(s.b) || s.b[s.i+1] != '\\' && s.b[s.i+1] != '"' {
				return nil, false, false
			}
			escaped = true
			s.i += 2
			continue
		case c < 0x20:
			return nil, false, false
		case c >= 0x80:
			ascii = false
		}
		s.i++
	}
	return nil, false, false
}

// number accepts integers of up to 15 digits, which every client reads exactly.
func (s *scanner) number() bool {
	s.eat('-')
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	digits := s.i - start
	return digits > 0 && digits <= 15 && (s.b[start] != '0' || digits == 1 && (start == 0 || s.b[start-1] != '-'))
}
