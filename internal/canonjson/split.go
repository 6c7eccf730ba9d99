package canonjson

import "encoding/json"

// Split gives the members of a JSON object as they stand in raw, without decoding
// them: of ten thousand targets, an add reads four. ok is false for what is not an
// object, and for what has to be decoded to be read: see scanner.str and
// scanner.number. A key that stands twice is an object that has to be decoded, too.
func Split(raw []byte) (members map[string]json.RawMessage, ok bool) {
	s := scanner{b: raw}
	members = map[string]json.RawMessage{}
	s.blanks()
	if !s.eat('{') {
		return nil, false
	}
	for s.blanks(); !s.eat('}'); s.blanks() {
		if len(members) > 0 {
			if !s.eat(',') {
				return nil, false
			}
			s.blanks()
		}
		key, escaped, ok := s.str()
		if !ok || escaped {
			return nil, false
		}
		s.blanks()
		if !s.eat(':') {
			return nil, false
		}
		s.blanks()
		start := s.i
		if !s.skip(1) {
			return nil, false
		}
		if _, twice := members[string(key)]; twice {
			return nil, false
		}
		members[string(key)] = raw[start:s.i]
	}
	s.blanks()
	return members, s.i == len(raw)
}

// blanks passes over what JSON allows between tokens.
func (s *scanner) blanks() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// skip passes over a value, whose keys may stand in any order.
func (s *scanner) skip(depth int) bool {
	if depth > MaxDepth || s.i >= len(s.b) {
		return false
	}
	switch s.b[s.i] {
	case '{':
		return s.skipList('}', func() bool {
			if _, _, ok := s.str(); !ok {
				return false
			}
			s.blanks()
			if !s.eat(':') {
				return false
			}
			s.blanks()
			return s.skip(depth + 1)
		})
	case '[':
		return s.skipList(']', func() bool { return s.skip(depth + 1) })
	}
	return s.value(depth)
}

func (s *scanner) skipList(end byte, element func() bool) bool {
	s.i++
	s.blanks()
	if s.eat(end) {
		return true
	}
	for {
		s.blanks()
		if !element() {
			return false
		}
		s.blanks()
		if s.eat(end) {
			return true
		}
		if !s.eat(',') {
			return false
		}
	}
}
