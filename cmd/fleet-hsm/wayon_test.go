//go:build cgo && linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// mishap is what keeps a card from signing; cure undoes it.
type mishap struct {
	name string
	pin  string // the PIN that the command is given
	do   func(c *deskCard, commands int)
	cure func(c *deskCard)
}

func mishaps() []mishap {
	nothing := func(*deskCard) {}
	insert := func(c *deskCard) { c.RemoveAfter(-1); c.Insert() }
	return []mishap{
		{"wrong PIN", "wrong-1", func(*deskCard, int) {}, nothing},
		{"absent card", cardPIN, func(c *deskCard, _ int) { c.Remove() }, insert},
		{"card pulled out", cardPIN, func(c *deskCard, n int) { c.RemoveAfter(n - 4) }, insert},
		{"missed touch", cardPIN, func(c *deskCard, _ int) { c.SetTouchTimeout(2 * touchReminder); c.SetTouch(card.TouchNobody, 0) }, func(c *deskCard) { c.SetTouchTimeout(touchLimit); c.SetTouch(card.TouchAuto, 0) }},
	}
}

// TestWayOn: whatever keeps a card from signing, the hint leads to one change with one new
// key: to sign or commit where a change is staged, and to the same command only where
// nothing is. Followed to its end it publishes what was asked for, once.
func TestWayOn(t *testing.T) {
	t.Parallel()
	r := newRootOnCard(t)
	r.dropSecrets()
	pin := write(t, "pin", cardPIN+"\n")
	for _, at := range []string{"9a", "9d"} { // each signature takes a PIN and a touch
		r.must("key", "generate", "piv:serial=15835999;slot="+at, "--pin-source", "file:"+pin, "--attestation-ca", write(t, "ca", string(r.ca.PEM())))
	}
	empty := r.copy()
	r.must("init", "--root-key", "piv:serial=15835999;slot=9d", "--targets-key", "piv:serial=15835999;slot=9a", "--pin-source", "file:"+pin)
	target := write(t, "x", "hello")
	slot := 0x81
	for _, c := range []struct {
		name     string
		args     []string // SLOT is a free one
		versions string   // at the end
		from     string
		mishaps  string
	}{
		{"rotate of file keys", []string{"rotate", "snapshot"}, "root 2, targets 1", r.dir, "wrong PIN, absent card, card pulled out, missed touch"},
		{"rotate to a new key on the card", []string{"rotate", "root", "--add", "piv:serial=15835999;slot=SLOT", "--generate", "--touch-policy", "never"}, "root 2, targets 1", r.dir, "wrong PIN, absent card, card pulled out"},
		{"add", []string{"add", "--target", target, "--name", "x", "--platform", "linux", "--version", "1"}, "root 1, targets 2", r.dir, "absent card, missed touch"},
		{"init", []string{"init", "--root-key", "piv:serial=15835999;slot=9d", "--targets-key", "piv:serial=15835999;slot=9a"}, "root 1, targets 1", empty, "wrong PIN, card pulled out"},
	} {
		slotted := func() []string {
			slot++
			return strings.Split(strings.ReplaceAll(strings.Join(c.args, "\x00"), "SLOT", fmt.Sprintf("%x", slot)), "\x00")
		}
		commands := 0
		if strings.Contains(c.mishaps, "pulled out") {
			r.card.ResetCount()
			r.dirOf(c.from, func(dir string) { r.mustIn(dir, append(slotted(), "--no-input", "--pin-source", "file:"+pin)...) })
			commands = r.card.Count()
		}
		for _, m := range mishaps() {
			if !strings.Contains(c.mishaps, m.name) {
				continue
			}
			r.dirOf(c.from, func(dir string) {
				args := slotted()
				m.do(r.card, commands)
				code, said := r.run(dir, append(args, "--no-input", "--pin-source", "file:"+write(t, "given", m.pin+"\n"))...)
				m.cure(r.card)
				if code == 0 {
					t.Fatalf("%s, %s: exit 0\n%s", c.name, m.name, said)
				}
				r.follow(dir, args, pin, said)
				if got := r.versions(dir); got != c.versions {
					t.Errorf("%s, %s: at the end %s, want %s; it said\n%s", c.name, m.name, got, c.versions, said)
				}
				for _, id := range r.unused(dir) {
					t.Errorf("%s, %s: key %s is left over; it said\n%s", c.name, m.name, id, said)
				}
			})
		}
	}
}

// dirOf has something done on a copy of a folder.
func (r *rootOnCard) dirOf(from string, do func(dir string)) {
	r.Helper()
	dir := filepath.Join(r.TempDir(), "r")
	if err := copyTree(from, dir); err != nil {
		r.Fatal(err)
	}
	do(dir)
}

var saysAgain = later(`(?i)run (it|the command) again`)

// follow does what the hint says.
func (r *rootOnCard) follow(dir string, args []string, pin, said string) {
	r.Helper()
	roles := r.staged(dir)
	switch again := saysAgain().MatchString(said); {
	case roles == nil && !again:
		r.Errorf("%q: nothing is staged, and the hint does not say so:\n%s", args, said)
	case roles == nil:
		r.mustIn(dir, append(args, "--no-input", "--pin-source", "file:"+pin)...)
		return
	case again, !strings.Contains(said, `"fleet-hsm sign"`) && !strings.Contains(said, `"fleet-hsm commit"`):
		r.Errorf("%q: a change is staged, and the hint does not lead on with it:\n%s", args, said)
	}
	sign := []string{"sign", "--no-input", "--pin-source", "file:" + pin}
	for _, hash := range roles {
		sign = append(sign, "--reviewed", hash)
	}
	r.mustIn(dir, sign...)
	if r.staged(dir) != nil {
		r.mustIn(dir, "commit", "--no-input")
	}
}

// staged gives the hash of each role of the staged change, nil without one.
func (r *rootOnCard) staged(dir string) map[string]string {
	r.Helper()
	out, err := r.tool(r.Context(), dir, "review", "--json").Output()
	var review struct {
		Roles []struct{ Role, SHA256 string }
	}
	if err != nil {
		return nil
	}
	if err := json.Unmarshal(out, &review); err != nil {
		r.Fatalf("%v\n%s", err, out)
	}
	hashes := map[string]string{}
	for _, role := range review.Roles {
		hashes[role.Role] = role.SHA256
	}
	return hashes
}

func (r *rootOnCard) versions(dir string) string {
	r.Helper()
	var v [2]struct{ Signed struct{ Version int } }
	for i, role := range []string{"root", "targets"} {
		data, err := os.ReadFile(filepath.Join(dir, "repository", role+".json"))
		if err == nil {
			err = json.Unmarshal(data, &v[i])
		}
		if err != nil {
			r.Fatal(err)
		}
	}
	return fmt.Sprintf("root %d, targets %d", v[0].Signed.Version, v[1].Signed.Version)
}

// unused lists the keys in keys/ and in the configuration that root does not name.
func (r *rootOnCard) unused(dir string) (ids []string) {
	r.Helper()
	out, err := r.tool(r.Context(), dir, "key", "list", "--json").Output()
	if err != nil {
		r.Fatal(err)
	}
	var list struct {
		Keys []struct {
			KeyID, URI string
			Roles      []string
		}
	}
	if err := json.Unmarshal(out, &list); err != nil {
		r.Fatal(err)
	}
	for _, k := range list.Keys {
		if len(k.Roles) == 0 {
			ids = append(ids, k.KeyID+" "+k.URI)
		}
	}
	return ids
}
