//go:build cgo && linux

package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// A plantedCase is the honest estate with one thing altered, by somebody who holds all of
// the keys, and the commands that have to refuse it.
type plantedCase struct {
	name     string
	document string // what is altered
	commands []string
	alter    func(e *estate)
	// number is JSON that stands in place of [placeholder] in what waits.
	number string
	// turn chooses the commands that are tried, so that each has its turn at each place.
	turn int
}

// placeholder is a number that stands nowhere else.
const placeholder = json.Number("987654321")

// A plantedHouse is an estate in a folder, its request, and a configuration with which
// each secret is asked of a program that leaves a mark: whoever refuses has not come so
// far.
type plantedHouse struct {
	*estate
	base, dir, file, mark string
}

func newPlantedHouse(t *testing.T) plantedHouse {
	t.Helper()
	base := t.TempDir()
	h := plantedHouse{newEstate(t), base, filepath.Join(base, "r"), filepath.Join(base, "change.request"), filepath.Join(base, "asked")}
	h.signed("targets")["targets"] = map[string]any{} // or verify misses its content
	secrets, keys := map[string]any{}, map[string]any{}
	for _, role := range meta.Roles() {
		file := filepath.Join(base, "keys", role+".json")
		check(t, makeKeyFile("ed25519", file, role))
		secrets["file:"+file] = "cmd:touch " + h.mark + "; exit 1"
		for _, id := range h.signed("root")["roles"].(map[string]any)[role].(map[string]any)["keyids"].([]any) {
			keys[id.(string)] = map[string]any{"uri": "file:" + file}
		}
	}
	check(t, os.WriteFile(h.inBase("config.yaml"), encoded(t, map[string]any{"secrets": secrets, "keys": keys}), 0o600))
	check(t, os.WriteFile(h.inBase("root.json"), h.envelope(t, "root"), 0o600))
	check(t, os.WriteFile(h.inBase("orbit"), []byte("#!/bin/sh\n"), 0o600))
	return h
}

func (h plantedHouse) inBase(name string) string { return filepath.Join(h.base, name) }

// fill writes one estate into the folder, and another's request beside it.
func (h plantedHouse) fill(t *testing.T, e, requested *estate, c plantedCase) {
	t.Helper()
	check(t, os.RemoveAll(h.dir))
	e.write(t, h.dir, c.document)
	check(t, os.WriteFile(h.file, requested.request(t), 0o600))
	if c.number == "" {
		return
	}
	for _, file := range []string{h.file, filepath.Join(h.dir, "pending", "change.json")} {
		data, err := os.ReadFile(file)
		check(t, err)
		check(t, os.WriteFile(file, bytes.ReplaceAll(data, []byte(placeholder), []byte(c.number)), 0o600))
	}
}

// run runs a command of the table on an estate.
func (h plantedHouse) run(t *testing.T, e *estate, command string) result {
	t.Helper()
	reviewed := []string{"--reviewed", e.hash(t, "staged_root"), "--reviewed", e.hash(t, "staged_targets")}
	args := map[string][]string{
		"review FILE": {"review", h.file, "--root", h.inBase("root.json")},
		"sign FILE":   append([]string{"sign", h.file, "--root", h.inBase("root.json")}, reviewed...),
		"attach FILE": {"attach", h.file, "--path", h.dir},
		"review":      {"review", "--path", h.dir},
		"sign":        append([]string{"sign", "--path", h.dir}, reviewed...),
		"commit":      {"commit", "--path", h.dir},
		"status":      {"status", "--path", h.dir},
		"verify":      {"verify", filepath.Join(h.dir, "repository")},
		"timestamp":   {"timestamp", "--path", h.dir},
		"add":         {"add", "--path", h.dir, "--stage-only", "--target", h.inBase("orbit"), "--name", "orbit", "--platform", "linux", "--version", "9"},
	}[command]
	if args == nil {
		t.Fatalf("no command %q", command)
	}
	return inProcess(append(args, "--config", h.inBase("config.yaml"))...)
}

// asked reports whether a secret was asked for since it was last called.
func (h plantedHouse) asked() bool { return os.Remove(h.mark) == nil }

var (
	withRequest = []string{"review FILE", "sign FILE", "attach FILE"}
	withStaged  = []string{"review", "sign", "commit"}
	withBoth    = slices.Concat(withStaged, withRequest)
	withWeb     = []string{"status", "verify", "add"}
)

// tried runs the commands of a case: each refuses the file as one that does not verify,
// asks for no secret, changes nothing, and repeats nothing as it stood.
func (h plantedHouse) tried(t *testing.T, c plantedCase, raw string) {
	t.Helper()
	altered := &estate{keys: h.keys, tree: cloned(h.tree).(map[string]any)}
	c.alter(altered)
	var requests, others []string
	for _, command := range c.commands {
		if slices.Contains(withRequest, command) {
			requests = append(requests, command)
		} else {
			others = append(others, command)
		}
	}
	file := c.document + ".json"
	if strings.HasPrefix(c.document, "staged_") {
		file = "change.json"
	}
	h.refused(t, h.estate, altered, c, c.inTurn(requests), "change.request", raw)
	h.refused(t, altered, altered, c, c.inTurn(others), file, raw)
}

// inTurn is one of the commands; all of them with FLEET_HSM_LONG.
func (c plantedCase) inTurn(commands []string) []string {
	if len(commands) == 0 || long() {
		return commands
	}
	return commands[c.turn%len(commands):][:1]
}

// refused runs commands in one folder and wants each to name the file.
func (h plantedHouse) refused(t *testing.T, in, requested *estate, c plantedCase, commands []string, file, raw string) {
	t.Helper()
	if len(commands) == 0 {
		return
	}
	h.fill(t, in, requested, c)
	before, err := treeOf(h.base)
	check(t, err)
	for _, command := range commands {
		what := c.name + ", " + command
		r := h.run(t, requested, command)
		if r.code != exitUnverified || !strings.Contains(r.stdout+r.stderr, file) {
			t.Errorf("%s: exit %d\n%.500s%.300s", what, r.code, r.stderr, r.stdout)
		}
		clean(t, what, raw, r)
	}
	if h.asked() {
		t.Errorf("%s, one of %q: a secret was asked for", c.name, commands)
	}
	if after, err := treeOf(h.base); err != nil || after != before {
		t.Errorf("%s, one of %q: something was changed (%v)\n%s", c.name, commands, err, difference(before, after))
	}
}

// untouched is the table's other side: with nothing altered no command says that
// something does not verify, and those that sign ask for a secret.
func (h plantedHouse) untouched(t *testing.T) {
	t.Helper()
	h.fill(t, h.estate, h.estate, plantedCase{})
	for command, want := range map[string]int{
		"review FILE": exitOK, "sign FILE": exitSecret, "attach FILE": exitShort, "review": exitOK, "sign": exitSecret,
		"commit": exitShort, "status": exitOK, "verify": exitOK, "timestamp": exitSecret,
	} {
		r := h.run(t, h.estate, command)
		if asked := h.asked(); r.code != want || asked != (want == exitSecret) {
			t.Errorf("nothing altered, %s: exit %d, a secret was asked for: %v\n%.800s", command, r.code, asked, r.stderr)
		}
	}
	if r := h.run(t, h.estate, "add"); r.code != exitOK {
		t.Errorf("nothing altered, add: exit %d\n%s", r.code, r.stderr)
	}
}

// signed is the signed part of a document of the estate.
func (e *estate) signed(doc string) map[string]any {
	return e.tree[doc].(map[string]any)["signed"].(map[string]any)
}

// TestOnlyKeyIDsAtTheCommandLine: what is not a key ID, in every place that has room for one,
// through every command that reads it.
func TestOnlyKeyIDsAtTheCommandLine(t *testing.T) {
	t.Parallel()
	h := newPlantedHouse(t)
	h.untouched(t)
	digits := strings.Repeat("0a", 32)
	for i, bad := range []struct{ what, id string }{
		{"63 digits", digits[1:]}, {"65 digits", digits + "0"}, {"upper case", strings.ToUpper(digits)}, {"no digit", digits[1:] + "g"},
		{"escape", "\x1b[2J\x1b[H" + digits[7:]}, {"path", "../../" + digits[6:]}, {"short path", "../../x"}, {"empty", ""},
	} {
		for _, c := range keyIDCases(bad.id) {
			c.name, c.turn = c.name+", "+bad.what, i
			h.tried(t, c, bad.id)
		}
		h.configured(t, bad.what, bad.id)
	}
}

// keyIDCases puts an ID where a key ID belongs, in each place.
func keyIDCases(id string) []plantedCase {
	var out []plantedCase
	add := func(document, place string, commands []string, alter func(e *estate)) {
		out = append(out, plantedCase{name: document + ", " + place, document: document, commands: commands, alter: alter})
	}
	reads := map[string][]string{
		"root": slices.Concat(withWeb, withRequest), "targets": slices.Concat(withWeb, withRequest),
		"snapshot": withWeb, "timestamp": withWeb, "staged_root": withBoth, "staged_targets": withBoth,
	}
	for document, commands := range reads {
		add(document, "a signature", commands, func(e *estate) {
			d := e.tree[document].(map[string]any)
			d["signatures"] = append(d["signatures"].([]any), map[string]any{"keyid": id, "sig": "00"})
		})
		if !strings.HasSuffix(document, "root") {
			continue
		}
		add(document, "a key", commands, func(e *estate) {
			keys := e.signed(document)["keys"].(map[string]any)
			keys[id] = cloned(keys[sortedKeys(keys)[0]])
		})
		add(document, "a role", commands, func(e *estate) {
			role := e.signed(document)["roles"].(map[string]any)["snapshot"].(map[string]any)
			role["keyids"] = append(role["keyids"].([]any), id)
		})
	}
	add("hints", "a name", withRequest, func(e *estate) {
		e.tree["hints"].(map[string]any)[id] = map[string]any{"uri": "piv:serial=1;slot=9c"}
	})
	return out
}

// configured puts the ID into a configuration: exit 2, whatever the command is.
func (h plantedHouse) configured(t *testing.T, what, id string) {
	t.Helper()
	h.fill(t, h.estate, h.estate, plantedCase{})
	own := filepath.Join(h.dir, "fleet-hsm.yaml")
	check(t, os.WriteFile(own, encoded(t, map[string]any{"keys": map[string]any{id: map[string]any{"uri": "piv:serial=1;slot=9c"}}}), 0o600))
	before, err := treeOf(h.base)
	check(t, err)
	for _, command := range []string{"review", "sign", "attach " + h.file, "commit", "status", "timestamp", "rotate targets --renew", "key list"} {
		r := inProcess(append(strings.Fields(command), "--path", h.dir)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, "fleet-hsm.yaml") {
			t.Errorf("%s in the configuration, %s: exit %d\n%s", what, command, r.code, r.stderr)
		}
		clean(t, what+" in the configuration, "+command, id, r)
	}
	if after, err := treeOf(h.base); err != nil || after != before {
		t.Errorf("%s in the configuration: something was changed (%v)\n%s", what, err, difference(before, after))
	}
}

// TestNumbersDoNotSteer: a number that nobody honest writes, in each place of a request
// and of a staged change that has one.
func TestNumbersDoNotSteer(t *testing.T) {
	t.Parallel()
	h := newPlantedHouse(t)
	for i, number := range []string{
		"9007199254740991", "9007199254740992", "9223372036854775807", "9223372036854775808", "-1", "0", "1.5", "2.0", "2e0", `"2"`, "null", "[2]",
	} {
		for _, document := range []string{"staged_root", "staged_targets"} {
			h.tried(t, plantedCase{document + ", version " + number, document, withBoth, func(e *estate) {
				e.signed(document)["version"] = placeholder
			}, number, i}, "")
		}
		h.tried(t, plantedCase{"staged_root, threshold " + number, "staged_root", withBoth, func(e *estate) {
			e.signed("staged_root")["roles"].(map[string]any)["snapshot"].(map[string]any)["threshold"] = placeholder
		}, number, i}, "")
	}
}

// TestRetiredKeyNumbersNothing: a timestamp that only a key of an older root signed is
// believed for no number: who needs one that verifies refuses it before a secret is asked
// for, and the number is never gone on from.
func TestRetiredKeyNumbersNothing(t *testing.T) {
	t.Parallel()
	h := newPlantedHouse(t)
	retired := h.key(t).ID.String()
	for _, number := range []string{"2", "9007199254740989", "9007199254740991"} {
		e := &estate{keys: map[string]ed25519.PrivateKey{}, tree: cloned(h.tree).(map[string]any)}
		for _, role := range []string{"root", "targets", "snapshot"} {
			id := h.signed("root")["roles"].(map[string]any)[role].(map[string]any)["keyids"].([]any)[0].(string)
			e.keys[id] = h.keys[id]
		}
		e.signed("timestamp")["version"] = json.Number(number)
		message, err := cjson.EncodeCanonical(e.signed("timestamp"))
		check(t, err)
		sig, err := wiresig.Sign(h.keys[retired], message)
		check(t, err)
		e.tree["timestamp"].(map[string]any)["signatures"] = []any{map[string]any{"keyid": retired, "sig": hex.EncodeToString(sig)}}
		h.refused(t, e, e, plantedCase{name: "a retired key's timestamp " + number, document: "timestamp"}, append(withWeb, "timestamp"), "timestamp.json", "")
	}
}

// TestReviewShowsWholeHashes: no two files share what is shown of a target's hash.
func TestReviewShowsWholeHashes(t *testing.T) {
	t.Parallel()
	h := newPlantedHouse(t)
	sum := fmt.Sprintf("%x", sha512.Sum512([]byte("a target")))
	target := h.signed("staged_targets")["targets"].(map[string]any)["orbit/linux/stable/orbit"].(map[string]any)
	target["hashes"] = map[string]any{"sha512": sum}
	h.fill(t, h.estate, h.estate, plantedCase{})
	for _, command := range []string{"review", "review FILE"} {
		if r := h.run(t, h.estate, command); !strings.Contains(strings.Join(strings.Fields(r.stdout), ""), sum) {
			t.Errorf("%s: not all of %s\n%s", command, sum, r.stdout)
		}
	}
}

// TestFirstRequestNeedsItsRoot: without a terminal nobody can say that they know the root
// of a request, so one has to be pinned; no secret is asked for before that.
func TestFirstRequestNeedsItsRoot(t *testing.T) {
	t.Parallel()
	h := newPlantedHouse(t)
	h.fill(t, h.estate, h.estate, plantedCase{})
	sign := []string{"sign", h.file, "--config", h.inBase("config.yaml"), "--reviewed", h.hash(t, "staged_root"), "--reviewed", h.hash(t, "staged_targets")}
	if r := inProcess(sign...); r.code != exitUsage || !strings.Contains(r.stderr, "--root FILE") || h.asked() {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}
