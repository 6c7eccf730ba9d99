//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestPageSaysWhatStatusSays: the numbers of the page are those of status --json and of list.
func TestPageSaysWhatStatusSays(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	log, file := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "status.html")
	must(t, "add", "--path", dir, "--target", write(t, "orbit", "x"), "--name", "orbit", "--platform", "linux", "--version", "1.2.3", "-t", "stable", "--transcript", log)
	r := hsm(t, nil, "status", "--path", dir, "--html", file, "--transcript", log, "--json")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	var says struct {
		Roles []struct {
			Role      string
			Version   int64
			DaysLeft  int `json:"days_left"`
			Threshold int
			Keys      []struct{ KeyID, Place string }
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &says); err != nil || len(says.Roles) != 4 {
		t.Fatalf("%v\n%s", err, r.stdout)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range says.Roles {
		text := textOf(byID(doc, "role-"+role.Role))
		for _, want := range []string{fmt.Sprintf("version %d ", role.Version), fmt.Sprintf("%d days", role.DaysLeft), fmt.Sprintf("%d of %d key", role.Threshold, len(role.Keys))} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %q", role.Role, want, text)
			}
		}
		for _, k := range role.Keys {
			if page := textOf(doc); !strings.Contains(page, k.KeyID[:16]) || !strings.Contains(page, k.Place) {
				t.Errorf("%s: key %s at %s is not on the page", role.Role, k.KeyID, k.Place)
			}
		}
	}
	var list struct{ Targets []any }
	if err := json.Unmarshal([]byte(hsm(t, nil, "list", "--path", dir, "--json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	if got := textOf(byID(doc, "targets")); got != fmt.Sprintf("%d ", len(list.Targets)) {
		t.Errorf("%q targets, and list has %d", got, len(list.Targets))
	}
	if page := textOf(doc); !strings.Contains(page, "targets v2 signed") || !strings.Contains(page, "1.2.3") {
		t.Errorf("the release is not on the page: %s", page)
	}
}

func byID(n *html.Node, id string) *html.Node {
	for _, a := range n.Attr {
		if a.Key == "id" && a.Val == id {
			return n
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if found := byID(c, id); found != nil {
			return found
		}
	}
	return nil
}

// textOf is the text of an element, with one blank after each piece.
func textOf(n *html.Node) string {
	if n == nil {
		return ""
	}
	if n.Type == html.TextNode {
		if s := strings.Join(strings.Fields(n.Data), " "); s != "" {
			return s + " "
		}
		return ""
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(textOf(c))
	}
	return b.String()
}
