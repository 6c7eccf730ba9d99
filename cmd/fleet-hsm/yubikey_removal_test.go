//go:build cgo && linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// rootOnCard is a repository whose root key is on a card, with a change of root
// staged that only the card's signature is missing from.
type rootOnCard struct {
	*testing.T
	card   *deskCard
	server *pcsc.Server
	dir    string // the repository; tests work on copies
	ca     *card.CA
}

// cardPIN is the PIN of the cards that tests set up without typing.
const cardPIN = "card-pin"

func newRootOnCard(t *testing.T) *rootOnCard {
	t.Helper()
	ca, err := card.NewCA("")
	if err != nil {
		t.Fatal(err)
	}
	desk, server, err := newDesk(ca, []string{"blue=15835999"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r := &rootOnCard{T: t, card: desk["blue"], server: server, ca: ca, dir: filepath.Join(t.TempDir(), "r")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pin, puk := write(t, "pin", cardPIN+"\n"), write(t, "puk", "card-puk\n")
	r.must("token", "setup", "piv:serial=15835999", "--new-pin-source", "file:"+pin, "--new-puk-source", "file:"+puk)
	r.must("key", "generate", "piv:serial=15835999;slot=9c", "--touch-policy", "never", "--name", "blue", "--pin-source", "file:"+pin)
	f, err := os.OpenFile(filepath.Join(r.dir, "fleet-hsm.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(f, "secrets: {\"piv:serial=15835999\": \"file:%s\"}\n", pin); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

// tool prepares a run on a copy of the repository. A run that does not end is killed
// and fails.
func (r *rootOnCard) tool(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "fleet-hsm", append([]string{"--path", dir}, args...)...)
	cmd.Env = append(append(os.Environ(), secretEnv()...), r.server.Env()...)
	return cmd
}

// run gives the exit code and what was said.
func (r *rootOnCard) run(dir string, args ...string) (int, string) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	cmd := r.tool(ctx, dir, args...)
	out, _ := cmd.CombinedOutput()
	if ctx.Err() != nil {
		r.Fatalf("%q hangs\n%s", args, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (r *rootOnCard) mustIn(dir string, args ...string) string {
	r.Helper()
	code, out := r.run(dir, args...)
	if code != 0 {
		r.Fatalf("%q: exit %d\n%s", args, code, out)
	}
	return out
}

func (r *rootOnCard) must(args ...string) string { r.Helper(); return r.mustIn(r.dir, args...) }

// stage stages a change of root and gives the hash of what is to be signed.
func (r *rootOnCard) stage() string {
	r.Helper()
	r.must("rotate", "timestamp", "--add", "file:keys/spare.json", "--stage-only")
	return r.reviewed(r.dir)
}

// reviewed gives the hash that review shows.
func (r *rootOnCard) reviewed(dir string) string {
	r.Helper()
	cmd := r.tool(r.Context(), dir, "review", "--json")
	out, err := cmd.Output()
	if err != nil {
		r.Fatal(err)
	}
	var review struct {
		Roles []struct {
			Role string `json:"role"`
			Hash string `json:"sha256"`
		} `json:"roles"`
	}
	if err := json.Unmarshal(out, &review); err != nil || len(review.Roles) != 1 {
		r.Fatalf("%v\n%s", err, out)
	}
	return review.Roles[0].Hash
}

func (r *rootOnCard) copy() string {
	r.Helper()
	dir := filepath.Join(r.TempDir(), "r")
	if err := copyTree(r.dir, dir); err != nil {
		r.Fatal(err)
	}
	return dir
}

// TestCardPulledOut: the card leaves at every single command of a root signing, before
// it or before its answer. Either the signature is saved, or nothing is changed and
// the next run finishes. No PIN try is lost and nothing hangs.
func TestCardPulledOut(t *testing.T) {
	t.Parallel()
	r := newRootOnCard(t)
	if err := makeKeyFile("ed25519", filepath.Join(r.dir, "keys", "spare.json"), "timestamp"); err != nil {
		t.Fatal(err)
	}
	r.must("init", "--root-key", "piv:serial=15835999;slot=9c")
	hash := r.stage()
	r.card.ResetCount()
	r.mustIn(r.copy(), "sign", "--no-input", "--reviewed", hash)
	commands := r.card.Count()
	if commands < 10 {
		t.Fatalf("a signature took %d commands", commands)
	}
	unsigned, err := treeOf(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range commands + 1 {
		for name, arm := range map[string]func(int){"before": r.card.RemoveAfter, "lost": r.card.LoseAnswerAfter} {
			dir := r.copy()
			arm(n)
			code, said := r.run(dir, "sign", "--no-input", "--reviewed", hash)
			arm(-1)
			r.card.Insert()
			at := fmt.Sprintf("command %d, %s", n, name)
			r.judge(at, dir, hash, unsigned, code, said)
			if n%10 == 0 || n >= commands-1 {
				r.mustIn(dir, "commit")
				r.mustIn(dir, "verify")
			}
			if left := r.card.PINLeft(); left != 3 {
				t.Fatalf("%s: %d PIN tries left", at, left)
			}
			if n < commands && name == "before" && code == 0 && n < commands-5 {
				t.Errorf("%s: signed although the card was gone:\n%s", at, said)
			}
		}
	}
}

// judge looks at what a run left, and finishes it.
func (r *rootOnCard) judge(at, dir, hash, unsigned string, code int, said string) {
	r.Helper()
	if strings.Contains(said, "panic") || strings.Contains(said, cardPIN) {
		r.Fatalf("%s:\n%s", at, said)
	}
	if code == 0 {
		if !strings.Contains(said, "everything is signed") {
			r.Errorf("%s: exit 0:\n%s", at, said)
		}
		return
	}
	now, err := treeOf(dir)
	if err != nil {
		r.Fatal(err)
	}
	if now != unsigned {
		r.Fatalf("%s: exit %d, and there is a change:\n%s\n%s", at, code, difference(unsigned, now), said)
	}
	if code != exitShort && code != exitSecret {
		r.Errorf("%s: exit %d:\n%s", at, code, said)
	}
	began := time.Now()
	r.mustIn(dir, "sign", "--no-input", "--reviewed", hash)
	r.Logf("%s: exit %d, then signed in %s", at, code, time.Since(began).Round(time.Millisecond))
}
