package watch

import "fmt"

// FoundError: something is wrong with what is served.
type FoundError struct{ Findings []Finding }

func (e *FoundError) Error() string {
	return fmt.Sprintf("%d finding(s), the gravest is %s", len(e.Findings), e.Gravest())
}

// Gravest is the first finding's kind: expiry ahead and addresses that do not answer come
// after all that says that something wrong is served.
func (e *FoundError) Gravest() Kind {
	if len(e.Findings) == 0 {
		return ""
	}
	return e.Findings[0].Kind
}

// String is the finding on one line.
func (f Finding) String() string {
	s := string(f.Kind)
	if f.Address != "" {
		s += " " + f.Address
	}
	if f.Role != "" && f.Version > 0 {
		s += fmt.Sprintf(" %s v%d", f.Role, f.Version)
	}
	return s + ": " + f.Text
}

// String is the event on one line, without its time.
func (e Event) String() string {
	f := Finding{Kind: e.Kind, Address: e.Address, Role: e.Role, Version: e.Version, Text: e.Text}
	if e.State == "ends" {
		return "ends " + f.String()
	}
	return string(e.Level) + " " + f.String()
}
