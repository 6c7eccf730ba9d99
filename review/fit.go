package review

import (
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// screen is how many lines a terminal has, less the question below the review.
const screen = 24 - 1

// compact shows a change in fewer lines than its full form, and leaves nothing out that
// could be another change: a content stands at least with its first 256 bits, as many as
// the hash has that is signed, and paths that differ only in their channel share a line.
type compact struct {
	w    *prompt.Writer
	keys Keys
	// digits is how much of a content's SHA-512 is shown.
	digits int
}

func (c compact) role(rc diff.RoleReview) {
	w := c.w
	from := prompt.Sprintf("v%d -> v%d", rc.From, rc.To)
	if rc.From == 0 {
		from = prompt.Sprintf("v%d (new)", rc.To)
	}
	w.Printf("%s %s, expires %s (in %s)\n", strings.ToUpper(rc.Role), from, rc.Expires.UTC().Format("2006-01-02 15:04:05 UTC"), config.DaysUntil(rc.Expires))
	if meta.IsRole(rc.Role) && !signedAgain(rc) {
		showAgents(w, rc)
	}
	showGains(w, rc, c.keys)
	var thresholds []prompt.Text
	for _, t := range rc.Thresholds {
		thresholds = append(thresholds, prompt.Sprintf("%s: %d -> %d", t.Role, t.From, t.To))
	}
	if len(thresholds) > 0 {
		w.Item("threshold", prompt.Join(thresholds, ", "))
	}
	c.targets(rc)
	for _, m := range rc.Moved {
		showMoved(w, m)
	}
	showStays(w, rc, c.keys)
	for _, s := range rc.Other {
		w.Item("other", prompt.Sprintf("%s", prompt.ASCII(s)))
	}
	var signed []prompt.Text
	for _, s := range rc.Signatures {
		signed = append(signed, prompt.Sprintf("%d of %d (%s)", s.Have, s.Need, s.By))
	}
	w.Item("signed", prompt.Join(signed, ", "))
	showWarnings(w, rc)
	if meta.IsRole(rc.Role) {
		showWords(w, rc.Hash)
	}
	c.hash(rc.Hash)
}

// signedAgain: targets whose keys change is signed again as it is.
func signedAgain(rc diff.RoleReview) bool {
	return rc.Role != meta.RoleRoot && len(rc.Added)+len(rc.Changed)+len(rc.Removed)+len(rc.Moved)+len(rc.Other) == 0
}

// hash shows it in one line where there is room.
func (c compact) hash(hash string) {
	line := strings.Join(grouped(hash, 8, 8), " ")
	if room := c.w.Width(); room > 0 && len("  sha256 ")+len(line) > room {
		showHash(c.w, "sha256", hash, 8)
		return
	}
	c.w.Printf("  sha256 %s\n", line)
}

// likeness is what paths on one line have in common.
type likeness struct {
	verb, before, after, oldHash, newHash, name, platform, file string
	newLength                                                   int64
}

func (c compact) targets(rc diff.RoleReview) {
	var order []likeness
	channels := map[likeness][]string{}
	details := map[likeness][]string{}
	take := func(verb string, t diff.TargetChange) {
		name, platform, channel, file, ok := meta.SplitPath(t.Path)
		if !ok {
			name, platform, channel, file = t.Path, "", "", ""
		}
		l := likeness{verb, t.OldVersion, t.NewVersion, t.OldSHA512, t.NewSHA512, name, platform, file, t.NewLength}
		if verb == "changed" {
			l.oldHash = "" // what it was is published; what it will be is signed
		}
		if channels[l] == nil {
			order = append(order, l)
		}
		channels[l] = append(channels[l], channel)
		details[l] = append(details[l], t.Details...)
	}
	for _, t := range rc.Added {
		take("added", t)
	}
	for _, t := range rc.Changed {
		take("changed", t)
	}
	for _, t := range rc.Removed {
		take("removed", t)
	}
	seen := map[string]prompt.Text{}
	for _, l := range order {
		c.target(l, channels[l], seen)
		for _, s := range details[l] {
			c.w.Item("", prompt.Sprintf("%s", prompt.ASCII(s)))
		}
	}
}

func (c compact) target(l likeness, channels []string, seen map[string]prompt.Text) {
	path := prompt.Path(l.name)
	if l.platform != "" {
		path = prompt.Sprintf("%s/%s/%s/%s", path, prompt.Path(l.platform), several(channels), prompt.Path(l.file))
	}
	switch l.verb {
	case "removed":
		c.w.Item(l.verb, prompt.Sprintf("%s  %s", path, targetVersion(l.before)))
		return
	case "added":
		c.w.Item(l.verb, prompt.Sprintf("%s  %s (%s)", path, targetVersion(l.after), prompt.Size(l.newLength)))
	default:
		c.w.Item(l.verb, prompt.Sprintf("%s  %s -> %s", path, targetVersion(l.before), targetVersion(l.after)))
	}
	if first, ok := seen[l.newHash]; ok {
		c.w.Item("sha512", prompt.Sprintf("as of %s above", first))
		return
	}
	seen[l.newHash] = path
	showHash(c.w, "sha512", l.newHash[:min(c.digits, len(l.newHash))], 16)
}

// several writes channels as a shell would.
func several(channels []string) prompt.Text {
	if len(channels) == 1 {
		return prompt.Path(channels[0])
	}
	var list []prompt.Text
	for _, ch := range channels {
		list = append(list, prompt.Path(ch))
	}
	return prompt.Sprintf("{%s}", prompt.Join(list, ","))
}
