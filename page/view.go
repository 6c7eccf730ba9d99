package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/status"
)

// shown is what the template reads. Its strings have passed words, or are ours.
type shown struct {
	Style      template.CSS
	Title      string
	Made       time.Time
	State      string // "ok", "warn" or "bad"
	Headline   string
	Warnings   []string
	Next       []Next
	Roles      []roleView
	Keys       []keyView
	Channels   channelView
	Roots      []rootView
	Due        []dueView
	Until      time.Time
	Events     []eventView
	Transcript bool
	More       map[string]int // what was left out, by section
}

type roleView struct {
	Role, State, Left, Bar string
	Version                int64
	Expires                time.Time
	Percent                int
	Threshold, Keys, Spare int
	Signed                 int
	Loss                   string
}

type keyView struct {
	Role, Name, ID, Type, Place, Proof string
	Since                              int64
	SinceAt                            time.Time
	Signed                             bool
}

type rootView struct {
	Version int64
	Expires time.Time
	At      time.Time
	Changes []string
}

type eventView struct {
	At        time.Time
	What, Who string
}

func view(in Input) shown {
	v := shown{Style: template.CSS(style), Title: words(in.Title), Made: in.Now, Transcript: in.Transcript, More: map[string]int{}}
	for _, w := range in.Warnings {
		v.Warnings = append(v.Warnings, words(w))
	}
	v.Warnings = cut(v.Warnings, maxWarnings, v.More, "warnings")
	for _, n := range in.Next {
		v.Next = append(v.Next, Next{words(n.Command), words(n.Why)})
	}
	signedAt := map[int64]time.Time{}
	for _, e := range in.Events {
		if n := e.Published["root"]; n > 0 && e.Event == ceremony.EventCommit {
			if signedAt[n].IsZero() {
				signedAt[n] = e.Time
			}
		}
	}
	names := map[tuf.KeyID]string{}
	for _, r := range in.Roles {
		v.Roles = append(v.Roles, roleOf(r))
		for _, k := range r.Keys {
			names[k.KeyID] = nameOf(k)
			since := status.Since(in.Roots, r.Role, k.KeyID)
			v.Keys = append(v.Keys, keyView{r.Role, words(k.Name), k.KeyID.Short(), words(k.Type), words(k.Place), words(k.Proof), since, signedAt[since], k.Signed})
		}
	}
	v.Keys = cut(v.Keys, maxKeys, v.More, "keys")
	v.Channels = channelsOf(in.Targets)
	v.Roots = rootsOf(in, names, signedAt, v.More)
	v.Due, v.Until = dueOf(in)
	v.Events = eventsOf(in.Events, v.More)
	v.State, v.Headline = headline(v)
	return v
}

func nameOf(k status.Key) string {
	if k.Name != "" {
		return fmt.Sprintf("%s (%s)", words(k.Name), k.KeyID.Short())
	}
	return k.KeyID.Short()
}

// cut keeps the first n of a list and counts the others.
func cut[T any](list []T, n int, more map[string]int, section string) []T {
	if len(list) > n {
		more[section] = len(list) - n
		return list[:n]
	}
	return list
}

func headline(v shown) (state, text string) {
	state, text = "ok", "Nothing is due"
	if n := len(v.Warnings) + v.More["warnings"]; n > 0 {
		state, text = "warn", fmt.Sprintf("%d warning(s)", n)
	} else if len(v.Next) > 0 {
		state, text = "warn", "Something is left to do"
	}
	for _, r := range v.Roles {
		switch {
		case r.State == "bad":
			return "bad", r.Role + " has expired: agents refuse the repository"
		case r.State == "warn":
			state, text = "warn", r.Role+" expires soon"
		}
	}
	return state, text
}

func roleOf(r status.Role) roleView {
	v := roleView{Role: r.Role, Version: r.Version, Expires: r.Expires, Threshold: r.Threshold, Keys: len(r.Keys), Signed: r.Signed, State: "ok"}
	switch {
	case r.Left <= 0:
		v.State = "bad"
	case r.Left < r.Early:
		v.State = "warn"
	}
	v.Left = left(r.DaysLeft, r.Left)
	if r.Usual > 0 {
		v.Percent = int(min(100, max(0, 100*r.Left.Hours()/r.Usual.Hours())))
	}
	v.Bar = fmt.Sprintf("%d%% of the usual validity of %d days is left", v.Percent, int(r.Usual.Hours()/24))
	v.Spare = len(r.Keys) - r.Threshold
	v.Loss = loss(v)
	return v
}

func left(days int, d time.Duration) string {
	switch {
	case d <= 0:
		return "expired"
	case days < 2:
		return fmt.Sprintf("%d hours left", int(d.Hours()))
	case days > 2*365:
		return fmt.Sprintf("%d days (%.1f years) left", days, float64(days)/365.25)
	}
	return fmt.Sprintf("%d days left", days)
}

// loss says who can be lost.
func loss(r roleView) string {
	then := "root has to name a new one"
	if r.Role == "root" {
		then = "agents can never be led to a new root"
	}
	switch {
	case r.Spare <= 0:
		return "If one is lost, " + then + "."
	case r.Spare == 1:
		return "One can be lost. If two are, " + then + "."
	}
	return fmt.Sprintf("%d can be lost. If %d are, %s.", r.Spare, r.Spare+1, then)
}

func rootsOf(in Input, names map[tuf.KeyID]string, at map[int64]time.Time, more map[string]int) []rootView {
	name := func(id tuf.KeyID) string {
		if n := names[id]; n != "" {
			return n
		}
		return id.Short()
	}
	var out []rootView
	for _, c := range status.RootChanges(in.Roots, name) {
		out = append(out, rootView{c.Version, c.Expires, at[c.Version], c.Changes})
	}
	slices.Reverse(out)
	return cut(out, maxRoots, more, "roots")
}

func eventsOf(events []ceremony.Event, more map[string]int) []eventView {
	var out []eventView
	command, person := "", ""
	for _, e := range events {
		switch e.Event {
		case ceremony.EventStart:
			command, person = e.Command, e.Person
			if e.Machine != "" {
				person += " on " + e.Machine
			}
		case ceremony.EventSignature:
			key := e.Key
			if e.Device != "" && !strings.Contains(key, e.Device) {
				key += ", " + e.Device
			}
			out = append(out, eventView{e.Time, fmt.Sprintf("%s v%d signed", words(e.Role), e.Version), words(fmt.Sprintf("key %s, %s", e.KeyID.Short(), key))})
		case ceremony.EventCommit:
			out = append(out, eventView{e.Time, "published " + words(versions(e.Published)), words(command + ", " + person)})
		case ceremony.EventNote:
			out = append(out, eventView{e.Time, "note: " + words(e.Note), words(person)})
		}
	}
	slices.Reverse(out)
	return cut(out, maxEvents, more, "events")
}

func versions(m map[string]int64) string {
	var parts []string
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if m[role] > 0 {
			parts = append(parts, fmt.Sprintf("%s v%d", role, m[role]))
		}
	}
	return strings.Join(parts, ", ")
}
