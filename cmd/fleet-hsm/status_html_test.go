//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPageSaysWhatStatusSays: the numbers that Chromium shows of the page, at the width of a
// phone and of a desktop, light and dark, are those of status --json and of list.
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
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Targets []any }
	if err := json.Unmarshal([]byte(hsm(t, nil, "list", "--path", dir, "--json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	for _, dark := range []bool{false, true} {
		for width, seen := range inBrowser(t, string(page), dark, 390, 1280) {
			where := fmt.Sprintf("%d columns, dark %t", width, dark)
			for _, role := range says.Roles {
				for _, want := range []string{fmt.Sprintf("version %d", role.Version), fmt.Sprintf("%d days", role.DaysLeft), fmt.Sprintf("%d of %d key", role.Threshold, len(role.Keys))} {
					if text := seen["role-"+role.Role]; !strings.Contains(text, want) {
						t.Errorf("%s: %s: no %q in %q", where, role.Role, want, text)
					}
				}
				for _, k := range role.Keys {
					if !strings.Contains(seen["body"], k.KeyID[:16]) || !strings.Contains(seen["body"], k.Place) {
						t.Errorf("%s: %s: key %s at %s is not on the page", where, role.Role, k.KeyID, k.Place)
					}
				}
			}
			if got := seen["targets"]; got != fmt.Sprint(len(list.Targets)) {
				t.Errorf("%s: %q targets, and list has %d", where, got, len(list.Targets))
			}
			if !strings.Contains(seen["body"], "targets v2 signed") || !strings.Contains(seen["body"], "1.2.3") {
				t.Errorf("%s: the release is not on the page: %s", where, seen["body"])
			}
		}
	}
}

// inBrowser opens a page in headless Chromium at some widths, and gives the text that a
// reader sees there, by width and then by the element's id ("body" is all of it). Chromium's
// innerText leaves out what the style hides.
func inBrowser(t *testing.T, page string, dark bool, widths ...int) map[int]map[string]string {
	t.Helper()
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><body><pre id=out></pre>")
	for _, w := range widths {
		fmt.Fprintf(&b, `<iframe id="%d" style="border:0;width:%dpx;height:800px" srcdoc="%s"></iframe>`, w, w, html.EscapeString(page))
	}
	b.WriteString(`<script>onload=()=>{out.textContent=JSON.stringify(Object.fromEntries([...document.querySelectorAll("iframe")].map(f=>{const d=f.contentDocument;
return [f.id,Object.fromEntries([["body",d.body.innerText],...[...d.querySelectorAll("[id]")].map(e=>[e.id,e.innerText])])]})))}</script>`)
	file := filepath.Join(t.TempDir(), "frames.html")
	check(t, os.WriteFile(file, []byte(b.String()), 0o600))
	scheme := map[bool]string{true: "0", false: "1"}[dark]
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--user-data-dir="+t.TempDir(),
		"--blink-settings=preferredColorScheme="+scheme, "--window-size=1400,2000", "--virtual-time-budget=5000", "--dump-dom", "file://"+file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	_, said, _ := strings.Cut(string(out), `<pre id="out">`)
	said, _, _ = strings.Cut(said, "</pre>")
	seen := map[int]map[string]string{}
	if err := json.Unmarshal([]byte(html.UnescapeString(said)), &seen); err != nil || len(seen) != len(widths) {
		t.Fatalf("the browser shows %d pages: %v", len(seen), err)
	}
	for _, texts := range seen {
		for id, text := range texts {
			texts[id] = strings.Join(strings.Fields(text), " ")
		}
	}
	return seen
}
