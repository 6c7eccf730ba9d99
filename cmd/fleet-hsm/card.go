package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// showCard prints the sign card: what a signature would mean, on one screen.
func (a *app) showCard(w io.Writer, card repo.Card, keys *keychain) {
	for _, s := range card.Intents {
		fmt.Fprintln(w, plain(s))
	}
	for _, rc := range card.Roles {
		fmt.Fprintln(w)
		a.showRole(w, rc, keys)
	}
}

func (a *app) showRole(w io.Writer, rc repo.RoleCard, keys *keychain) {
	from := fmt.Sprintf("v%d -> v%d", rc.From, rc.To)
	if rc.From == 0 {
		from = fmt.Sprintf("v%d (new)", rc.To)
	}
	fmt.Fprintf(w, "%s %s\n", strings.ToUpper(rc.Role), from)
	fmt.Fprintf(w, "  expires   %s (in %s)\n", rc.Expires.UTC().Format("2006-01-02 15:04:05 UTC"), daysUntil(rc.Expires))
	for _, k := range rc.Keys {
		verb := "loses"
		if k.Gains {
			verb = "gains"
		}
		fmt.Fprintf(w, "  key       %s %s %s (%s)\n", keys.nameID(k.KeyID), verb, k.Role, k.Type)
	}
	for _, t := range rc.Thresholds {
		fmt.Fprintf(w, "  threshold %s: %d -> %d\n", t.Role, t.From, t.To)
	}
	for _, t := range rc.Added {
		fmt.Fprintf(w, "  added     %s  %s %s, %s\n", plain(t.Path), plain(t.NewVersion), shortHash(t.NewSHA512), size(t.NewLength))
		showDetails(w, t)
	}
	for _, t := range rc.Changed {
		fmt.Fprintf(w, "  changed   %s  %s -> %s, %s -> %s, %s -> %s\n", plain(t.Path), plain(t.OldVersion), plain(t.NewVersion),
			shortHash(t.OldSHA512), shortHash(t.NewSHA512), size(t.OldLength), size(t.NewLength))
		showDetails(w, t)
	}
	for _, t := range rc.Removed {
		fmt.Fprintf(w, "  removed   %s  %s %s\n", plain(t.Path), plain(t.OldVersion), shortHash(t.OldSHA512))
	}
	for _, s := range rc.Other {
		fmt.Fprintf(w, "  other     %s\n", plain(s))
	}
	for _, s := range rc.Signatures {
		fmt.Fprintf(w, "  signed    %d of %d (%s)\n", s.Have, s.Need, s.By)
	}
	for _, s := range rc.Warnings {
		fmt.Fprintf(w, "  WARNING   %s\n", plain(s))
	}
	for i, line := range groups(rc.Hash) {
		label := "sha256"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "  %-9s %s\n", label, line)
	}
}

// nameID names a key by its ID, with the name from the configuration if there is one.
func (k *keychain) nameID(id tuf.KeyID) string {
	cfg, err := k.a.config()
	if err == nil && cfg.Keys[id].Name != "" {
		return fmt.Sprintf("%s %q", id.Short(), cfg.Keys[id].Name)
	}
	if h := k.hints[id]; h.Name != "" || !h.URI.IsZero() {
		return fmt.Sprintf("%s (%s, as the request says)", id.Short(), sayHint(h))
	}
	return id.Short()
}

func showDetails(w io.Writer, t repo.TargetChange) {
	for _, s := range t.Details {
		fmt.Fprintf(w, "            %s\n", plain(s))
	}
}

// plain shows a text that others wrote: anything that could move the cursor or hide
// another character is written as an escape.
func plain(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// groups cuts a hash into what two people can read to each other: lines of four
// groups of eight digits.
func groups(hash string) []string {
	var lines []string
	for i := 0; i < len(hash); i += 32 {
		var parts []string
		for j := i; j < min(i+32, len(hash)); j += 8 {
			parts = append(parts, hash[j:min(j+8, len(hash))])
		}
		lines = append(lines, strings.Join(parts, " "))
	}
	return lines
}

func shortHash(h string) string {
	if len(h) > 12 {
		return h[:12]
	}
	return h
}

// size writes bytes for people.
func size(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	case n >= 10_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d B", n)
}

// daysUntil says how long it is until t, or since.
func daysUntil(t time.Time) string {
	d := time.Until(t)
	if d < 0 {
		return daysUntilDuration(-d) + " ago"
	}
	return daysUntilDuration(d)
}

func daysUntilDuration(d time.Duration) string {
	if days := int((d + time.Hour).Hours()) / 24; days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	if d >= time.Hour {
		return fmt.Sprintf("%d hours", int(d.Round(time.Minute).Hours()))
	}
	return d.Round(time.Second).String()
}
