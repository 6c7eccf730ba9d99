package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

const (
	// maxNesting is far above what metadata has (about 6) and far below what makes
	// a decoder deep.
	maxNesting = 64
	// maxValues bounds the memory that decoding can take.
	maxValues = 4 << 20
)

// formError is a fault of form, with the code it is reported under.
type formError struct {
	code Code
	text string
}

func (e *formError) Error() string { return e.text }

// scanJSON looks through a document before anything decodes it: one value, valid
// UTF-8, no name twice in an object, bounded depth and size.
func scanJSON(data []byte) error {
	if first := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(first) > 0 && first[0] == '<' {
		return &formError{CodeHTML, "this is HTML or XML, not JSON: the server shows a page for it"}
	}
	if len(data) == 0 {
		return &formError{CodeMalformed, "the file is empty"}
	}
	if !utf8.Valid(data) {
		return &formError{CodeMalformed, "not valid UTF-8"}
	}
	// Depth first: a decoder recurses.
	if err := bounds(data); err != nil {
		return err
	}
	var value json.RawMessage
	if err := json.Unmarshal(data, &value); err != nil {
		return &formError{CodeMalformed, fmt.Sprintf("not JSON, perhaps cut off: %v", err)}
	}
	return uniqueNames(data)
}

// bounds checks depth and the number of values, on bytes that may be anything.
func bounds(data []byte) error {
	depth, values := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i)
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > maxNesting {
			return &formError{CodeNesting, fmt.Sprintf("nested deeper than %d levels", maxNesting)}
		}
		if values > maxValues {
			return &formError{CodeTooLarge, fmt.Sprintf("more than %d values", maxValues)}
		}
	}
	return nil
}

// endOfString gives the index of the closing quote of the string that opens at i,
// or the last index.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(data) - 1
}

// uniqueNames finds a name that an object has twice, in valid JSON.
func uniqueNames(data []byte) error {
	var open []map[string]bool // nil for an array
	atName := false
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			open = append(open, map[string]bool{})
			atName = true
		case '[':
			open = append(open, nil)
			atName = false
		case '}', ']':
			open = open[:len(open)-1]
			atName = false
		case ',':
			atName = open[len(open)-1] != nil
		case '"':
			end := endOfString(data, i)
			if atName {
				name := unquote(data[i : end+1])
				seen := open[len(open)-1]
				if seen[name] {
					return &formError{CodeDuplicateField, fmt.Sprintf("an object has the name %q twice", name)}
				}
				seen[name] = true
				atName = false
			}
			i = end
		}
	}
	return nil
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

// badNumber finds the first number in valid JSON that go-tuf v0.5.2 cannot
// canonicalise as every other client does: it goes through float64, so nothing but
// an integer up to 2^53 survives.
func badNumber(data []byte) string {
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c == '"' {
			i = endOfString(data, i)
			continue
		}
		if c != '-' && (c < '0' || c > '9') {
			continue
		}
		end := i
		for end < len(data) && bytes.IndexByte([]byte("+-.0123456789eE"), data[end]) >= 0 {
			end++
		}
		if text := data[i:end]; !exactInteger(text) {
			return string(text)
		}
		i = end - 1
	}
	return ""
}

func exactInteger(text []byte) bool {
	var n int64
	if json.Unmarshal(text, &n) != nil || string(text) == "-0" {
		return false
	}
	return -(1<<53) <= n && n <= 1<<53
}

// storedForm is what an agent's one-file store makes of metadata when it saves it
// (encoding/json over a raw message). If that differs from the bytes served, the
// hash in snapshot no longer fits what the agent has.
func storedForm(data []byte) ([]byte, error) {
	return json.Marshal(json.RawMessage(data))
}
