package edit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Oddity is something that another tool wrote in a way of its own. Agents accept it,
// and the next version of the file is written without it.
type Oddity struct {
	File string `json:"file"`
	What string `json:"what"`
}

// Oddities looks at the form of the published metadata: expiries in a local zone,
// JSON that is not compact. Files that cannot be read are passed over; [repo.Repo.Load]
// says what is wrong with them.
func Oddities(r *repo.Repo) []Oddity {
	var out []Oddity
	for _, role := range meta.Roles() {
		data, err := r.ReadRole(role, 0)
		if err != nil {
			continue
		}
		for _, what := range oddForm(data) {
			out = append(out, Oddity{File: "repository/" + meta.FileName(role, 0), What: what})
		}
	}
	return out
}

func oddForm(data []byte) []string {
	var f struct {
		Signed struct {
			Expires string `json:"expires"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil
	}
	var out []string
	if _, err := time.Parse(time.RFC3339, f.Signed.Expires); err == nil && !strings.HasSuffix(f.Signed.Expires, "Z") {
		out = append(out, fmt.Sprintf("expires is written in a local zone (%s)", f.Signed.Expires))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err == nil && compact.Len() != len(data) {
		out = append(out, fmt.Sprintf("JSON with %d bytes of blanks and line ends; a store that compacts it changes its length and hash", len(data)-compact.Len()))
	}
	return out
}
