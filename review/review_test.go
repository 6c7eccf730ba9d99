package review

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// names are what people call keys.
type names struct{ known, said string }

func (n names) KnownAs(tuf.KeyID) string { return n.known }
func (n names) SaidOf(tuf.KeyID) string  { return n.said }

const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func shown(t *testing.T, review diff.Review, keys Keys) []string {
	t.Helper()
	var b bytes.Buffer
	Show(prompt.New(&b), review, keys)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// TestShow: each thing that a signature would change has a line of ours, and the whole hash
// comes last.
func TestShow(t *testing.T) {
	t.Parallel()
	content := strings.Repeat(hash, 2)
	review := diff.Review{
		Intents: []string{"add orbit 1.2.3", workflow.SenderSays + "hurry"},
		Roles: []diff.RoleReview{{
			Role: meta.RoleTargets, From: 4, To: 5, Expires: time.Date(2099, 1, 31, 0, 0, 0, 0, time.UTC), Hash: hash,
			Keys:       []diff.KeyChange{{Role: meta.RoleTargets, Type: "ed25519", Gains: true}, {Role: meta.RoleRoot, Type: "rsa"}},
			Thresholds: []diff.ThresholdChange{{Role: meta.RoleRoot, From: 2, To: 1}},
			Added:      []diff.TargetChange{{Path: "orbit/linux/stable/orbit", NewVersion: "1.2.3", NewLength: 5, NewSHA512: content}, {Path: "orbit/linux/1.2.3/orbit", NewSHA512: content}},
			Removed:    []diff.TargetChange{{Path: "old", OldVersion: "1"}},
			Warnings:   []string{"beware"},
		}},
	}
	got := shown(t, review, names{known: "blue"})
	for _, want := range []string{
		`  intent    "add orbit 1.2.3"`, `  the sender says: "hurry"`, "TARGETS v4 -> v5", `"blue" gains targets (ed25519)`, `"blue" loses root (rsa)`,
		"  threshold root: 2 -> 1", "  added     orbit/linux/stable/orbit  1.2.3 (5 B)", "as of orbit/linux/stable/orbit above",
		"  removed   old  1", "  WARNING   beware",
	} {
		if !slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("no line has %q:\n%s", want, strings.Join(got, "\n"))
		}
	}
	if n := strings.Count(strings.Join(got, "\n"), "sha512"); n != 2 {
		t.Errorf("%d lines begin a content's hash", n)
	}
	last := strings.Join(got[len(got)-2:], " ")
	if strings.Join(strings.Fields(strings.TrimPrefix(last, "  sha256")), "") != hash {
		t.Errorf("the hash does not come last, or not whole: %q", last)
	}
}

// TestNames: what a request says of a key is marked, and counts only where this machine has
// no name for it.
func TestNames(t *testing.T) {
	t.Parallel()
	id, err := tuf.ParseKeyID(hash)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keys names
		want string
	}{
		{names{}, id.Short()},
		{names{known: "blue", said: "red"}, id.Short() + ` "blue"`},
		{names{said: "red"}, id.Short() + " (red, as the request says)"},
	} {
		if got := NameID(c.keys, id).String(); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}
