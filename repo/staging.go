package repo

import (
	"fmt"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Staging says which command staged an intent, when and who ran it. It is talk, as the
// intent is: whoever can write pending/ can write it, so nothing rests on it.
type Staging struct {
	Intent  string    `json:"intent"`
	Command string    `json:"command,omitempty"`
	By      string    `json:"by,omitempty"` // login name
	At      time.Time `json:"at,omitzero"`
}

// maxStagingWord bounds each word of a Staging, in bytes.
const maxStagingWord = 256

// Rehearse says which command a dry run is of. It takes no lock.
func (r *Repo) Rehearse(command string) { r.command = command }

// stamp is what the intents of a command are marked with.
func (r *Repo) stamp() Staging {
	return Staging{Command: cutWord(r.command), By: cutWord(r.person), At: meta.UTCSecond(r.now())}
}

func cutWord(s string) string {
	if len(s) > maxStagingWord {
		return s[:maxStagingWord]
	}
	return s
}

// readStagings takes those of a file that speak of its intents, one for each. Older
// versions wrote none, and leave those of intents that are gone.
func readStagings(file string, f changeFile) ([]Staging, error) {
	var out []Staging
	for _, s := range f.Stagings {
		if len(s.Command) > maxStagingWord || len(s.By) > maxStagingWord {
			return nil, &meta.FileError{File: file, Reason: fmt.Sprintf("a name of who staged it is longer than %d bytes", maxStagingWord)}
		}
		told := slices.ContainsFunc(out, func(o Staging) bool { return o.Intent == s.Intent })
		if !told && slices.Contains(f.Intents, s.Intent) {
			out = append(out, s)
		}
	}
	return out, nil
}
