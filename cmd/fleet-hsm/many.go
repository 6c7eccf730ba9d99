package main

import "strings"

// many is the value of a flag that may be given more than once. pflag's own renders its
// default as CSV, with 4 KB of buffer for each of some eighty flags at every start.
type many []string

func (m *many) Set(value string) error { *m = append(*m, value); return nil }

func (m *many) Type() string { return "stringArray" }

func (m *many) String() string {
	if len(*m) == 0 {
		return ""
	}
	return "[" + strings.Join(*m, ",") + "]"
}
