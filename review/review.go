package review

import (
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// Keys tells what people call a key.
type Keys interface {
	// KnownAs is its name in the configuration of this machine, SaidOf what a request says
	// of it; "" for nothing.
	KnownAs(id tuf.KeyID) string
	SaidOf(id tuf.KeyID) string
}

// Show prints the review: what a signature would mean. Whatever others wrote stands
// behind a label of ours, and what must be compared comes last.
func Show(to *prompt.Writer, review diff.Review, keys Keys) {
	w := to.Review()
	full := func(w *prompt.Writer) { showAll(w, review, keys) }
	// What no form brings onto one screen is shown in full.
	for _, form := range []func(*prompt.Writer){full, shortForm(review, keys, 128), shortForm(review, keys, 64)} {
		if w.Measure(form) <= screen {
			form(w)
			return
		}
	}
	full(w)
}

// shortForm is the compact form, with so many digits of each content.
func shortForm(review diff.Review, keys Keys, digits int) func(*prompt.Writer) {
	return func(w *prompt.Writer) {
		review.Staged = oneStaging(review)
		showIntents(w, review)
		for _, rc := range review.Roles {
			compact{w, keys, digits}.role(rc)
		}
	}
}

// oneStaging leaves of those who staged something the last where all are the same.
func oneStaging(review diff.Review) []repo.Staging {
	for _, s := range review.Staged {
		if first := review.Staged[0]; s.Command != first.Command || s.By != first.By || !s.At.Equal(first.At) {
			return review.Staged
		}
	}
	return review.Staged[max(0, len(review.Staged)-1):]
}

func showAll(w *prompt.Writer, review diff.Review, keys Keys) {
	showIntents(w, review)
	for i, rc := range review.Roles {
		if i > 0 || len(review.Intents) > 0 {
			w.Printf("\n")
		}
		showRole(w, rc, keys)
	}
}

// maxIntents is how many intents are shown: they are only talk.
const maxIntents = 20

func showIntents(w *prompt.Writer, review diff.Review) {
	label := "intent"
	for i, s := range review.Intents {
		if i == maxIntents {
			w.Item("", prompt.Sprintf("and %d more", len(review.Intents)-i))
			return
		}
		if said, ok := strings.CutPrefix(s, workflow.SenderSays); ok {
			w.Printf("  the sender says: %s\n", prompt.Quote(said))
			continue
		}
		w.Item(label, prompt.Quote(s))
		label = ""
		if by, ok := workflow.StagingOf(review.Staged, s); ok {
			w.Item("", prompt.Sprintf("pending/ says: by %s of %s, %s", prompt.Name(by.Command), prompt.Name(by.By), workflow.StagedAt(by.At)))
		}
	}
}

func showRole(w *prompt.Writer, rc diff.RoleReview, keys Keys) {
	showHead(w, rc)
	showAgents(w, rc)
	showKeys(w, rc, keys)
	showTargets(w, rc)
	showStays(w, rc, keys)
	for _, s := range rc.Other {
		w.Item("other", prompt.Sprintf("%s", prompt.ASCII(s)))
	}
	for _, s := range rc.Signatures {
		w.Item("signed", prompt.Sprintf("%d of %d (%s)", s.Have, s.Need, s.By))
	}
	showWarnings(w, rc)
	showWords(w, rc.Hash)
	showHash(w, "sha256", rc.Hash, 8)
}

func showHead(w *prompt.Writer, rc diff.RoleReview) {
	from := prompt.Sprintf("v%d -> v%d", rc.From, rc.To)
	if rc.From == 0 {
		from = prompt.Sprintf("v%d (new)", rc.To)
	}
	w.Printf("%s %s\n", strings.ToUpper(rc.Role), from)
	w.Item("expires", prompt.Sprintf("%s (in %s)", rc.Expires.UTC().Format("2006-01-02 15:04:05 UTC"), config.DaysUntil(rc.Expires)))
}

// showKeys says who gains and who loses what.
func showKeys(w *prompt.Writer, rc diff.RoleReview, keys Keys) {
	showGains(w, rc, keys)
	for _, t := range rc.Thresholds {
		w.Item("threshold", prompt.Sprintf("%s: %d -> %d", t.Role, t.From, t.To))
	}
}

func showGains(w *prompt.Writer, rc diff.RoleReview, keys Keys) {
	for _, k := range rc.Keys {
		verb := w.Marked(prompt.Bad, prompt.Sprintf("loses"))
		if k.Gains {
			verb = w.Marked(prompt.Good, prompt.Sprintf("gains"))
		}
		w.Item("key", prompt.Sprintf("%s %s %s (%s)%s", NameID(keys, k.KeyID), verb, k.Role, k.Type, since(k.Since)))
	}
}

func showWarnings(w *prompt.Writer, rc diff.RoleReview) {
	for _, s := range rc.Warnings {
		w.Item("WARNING", prompt.Sprintf("%s", prompt.ASCII(s)))
	}
}

// showWords shows the hash as words, to be read to somebody.
func showWords(w *prompt.Writer, hash string) {
	if words := Words(hash); words != "" {
		w.Item("words", prompt.Sprintf("%s", words))
	}
}

// showTargets shows each path in full, and the whole hash of each content once: fewer
// digits could be those of another file too.
func showTargets(w *prompt.Writer, rc diff.RoleReview) {
	seen := map[string]string{}
	for _, t := range rc.Added {
		w.Item("added", prompt.Sprintf("%s  %s (%s)", prompt.Path(t.Path), targetVersion(t.NewVersion), prompt.Size(t.NewLength)))
		showContent(w, "sha512", t.NewSHA512, t.Path, seen)
		showDetails(w, t)
	}
	for _, t := range rc.Changed {
		w.Item("changed", prompt.Sprintf("%s  %s -> %s (%s -> %s)", prompt.Path(t.Path),
			targetVersion(t.OldVersion), targetVersion(t.NewVersion), prompt.Size(t.OldLength), prompt.Size(t.NewLength)))
		if t.OldSHA512 != t.NewSHA512 {
			showContent(w, "was", t.OldSHA512, t.Path, seen)
			showContent(w, "now", t.NewSHA512, t.Path, seen)
		}
		showDetails(w, t)
	}
	for _, m := range rc.Moved {
		showMoved(w, m)
	}
	for _, t := range rc.Removed {
		w.Item("removed", prompt.Sprintf("%s  %s", prompt.Path(t.Path), targetVersion(t.OldVersion)))
	}
}

func showMoved(w *prompt.Writer, m diff.TargetsMoved) {
	w.Item("moved", prompt.Sprintf("%d targets from %s to %s, byte for byte", m.Count, prompt.Name(m.From), prompt.Name(m.To)))
}

// targetVersion shows what a target calls its version.
func targetVersion(s string) prompt.Text {
	if s == "" {
		return prompt.Sprintf("(no version)")
	}
	return prompt.Path(s)
}

// showContent shows a hash, or where it was shown already.
func showContent(w *prompt.Writer, label, hash, path string, seen map[string]string) {
	if hash == "" {
		w.Item(label, prompt.Sprintf("(none)"))
		return
	}
	if first, ok := seen[hash]; ok {
		w.Item(label, prompt.Sprintf("as of %s above", prompt.Path(first)))
		return
	}
	seen[hash] = path
	showHash(w, label, hash, 16)
}

// showHash shows a hash in groups of so many digits, four in a line, or as many as the
// screen has room for: lines of one length are easier to read to somebody.
func showHash(w *prompt.Writer, label, hash string, digits int) {
	row := 4
	for row > 1 && prompt.ItemIndent+row*(digits+1)-1 > w.Width() {
		row /= 2
	}
	for _, line := range grouped(hash, digits, row) {
		w.Item(label, prompt.Sprintf("%s", line))
		label = ""
	}
}

func showDetails(w *prompt.Writer, t diff.TargetChange) {
	for _, s := range t.Details {
		w.Item("", prompt.Sprintf("%s", prompt.ASCII(s)))
	}
}

// Groups cuts a hash into what two people can read to each other: lines of four
// groups of eight digits.
func Groups(hash string) []string { return grouped(hash, 8, 4) }

// grouped cuts it into lines of so many groups.
func grouped(hash string, digits, row int) []string {
	var lines []string
	for i := 0; i < len(hash); i += row * digits {
		var parts []string
		for j := i; j < min(i+row*digits, len(hash)); j += digits {
			parts = append(parts, hash[j:min(j+digits, len(hash))])
		}
		lines = append(lines, strings.Join(parts, " "))
	}
	return lines
}

// NameID names a key by its ID, with the name from the configuration if there is one.
func NameID(k Keys, id tuf.KeyID) prompt.Text {
	if name := k.KnownAs(id); name != "" {
		return prompt.Sprintf("%s %s", id.Short(), prompt.Name(name))
	}
	if said := k.SaidOf(id); said != "" {
		return prompt.Sprintf("%s (%s, as the request says)", id.Short(), said)
	}
	return prompt.Sprintf("%s", id.Short())
}
