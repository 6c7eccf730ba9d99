// Package schema is the number that our own files carry, so that a version of fleet-hsm
// knows whether it understands one. A newer version reads every older number. An older
// version meets a newer number by name, before it reads the rest, which may have another
// form: it changes nothing.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// NewerError: a file was written by a newer version of fleet-hsm, in a form that this one
// does not know.
type NewerError struct {
	File  string // as a person finds it
	Found int
	Known int // the newest that this version reads
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%q was written by a newer fleet-hsm: its schema is %d, and this version reads up to %d", e.File, e.Found, e.Known)
}

// Check refuses the content of a file whose field, a number, is above known. What is no
// object, or has no such number, is for whoever reads the rest. Errors: *NewerError.
func Check(file, field string, data []byte, known int) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil
		}
		var found int
		if name == field && json.Unmarshal(value, &found) == nil && found > known {
			return &NewerError{File: file, Found: found, Known: known}
		}
		if name == field {
			return nil
		}
	}
	return nil
}
