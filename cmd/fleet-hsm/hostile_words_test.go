//go:build cgo && linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/review"
)

// actsOrLies says why what the tool wrote may not stand on a screen, or "": something in
// it acts or hides, or a line begins with words of the attack, as if they were ours.
func actsOrLies(out, attack string) string {
	for i, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		for j, r := range line {
			if r == ' ' || r == '\n' {
				continue
			}
			_, size := utf8.DecodeRuneInString(line[j:])
			if r == utf8.RuneError && size == 1 || !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune("\u2800\u3164\u115f\u1160\uffa0", r) {
				return fmt.Sprintf("line %d holds %q as it is", i+1, r)
			}
		}
		begins := strings.TrimLeft(line, " ")
		for _, words := range strings.FieldsFunc(attack, func(r rune) bool { return r < ' ' || r > '~' }) {
			words = strings.TrimLeft(words, " ")
			if len(words) > 3 && strings.Contains(words, " ") && strings.HasPrefix(begins, words[:min(len(words), 12)]) {
				return fmt.Sprintf("line %d begins with others' words", i+1)
			}
		}
		if strings.HasPrefix(begins, `\`) {
			return fmt.Sprintf("line %d begins with an escape", i+1)
		}
	}
	return ""
}

// everywhere gives the estate with a text in every spot of some documents that can hold
// it: one spot after the other is tried, and kept if takes says so.
func (e *estate) everywhere(text string, documents []string, takes func(p spot, altered *estate) bool) (*estate, int) {
	held := 0
	for _, p := range e.spots() {
		if !slices.Contains(documents, p.document()) {
			continue
		}
		if altered := e.with(p, text); takes(p, altered) {
			e, held = altered, held+1
		}
	}
	return e, held
}

// clean looks at what a run wrote.
func clean(t *testing.T, what, attack string, r result) {
	t.Helper()
	for stream, out := range map[string]string{"stdout": r.stdout, "stderr": r.stderr} {
		if why := actsOrLies(out, attack); why != "" {
			t.Errorf("%s, %s: %s\n%.600s", what, stream, why, out)
		}
	}
}

var (
	inStore  = []string{"root", "targets", "snapshot", "timestamp"}
	proposed = []string{"staged_root", "staged_targets", "intents", "hints"}
)

// TestWordsOfAStore: every string of what is published, times every attack, through both
// readers that we have (repo and verify). What a document cannot hold is refused, in words
// that are as clean; with the text wherever it can be held, every command that reads is run.
func TestWordsOfAStore(t *testing.T) {
	t.Parallel()
	honest, base := newEstate(t), t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(base)))
	t.Cleanup(server.Close)
	number := 0
	for name, text := range attacks {
		e, held := honest.everywhere(text, inStore, func(p spot, altered *estate) bool {
			dir := filepath.Join(base, "one")
			altered.writeWeb(t, filepath.Join(dir, "repository"), p.document())
			status := inProcess("status", "--path", dir)
			clean(t, fmt.Sprintf("%s, %s, status", p, name), text, status)
			verified := inProcess("verify", filepath.Join(dir, "repository"))
			clean(t, fmt.Sprintf("%s, %s, verify", p, name), text, verified)
			check(t, os.RemoveAll(dir))
			return status.code == exitOK
		})
		if held < 8 {
			t.Errorf("%s: only %d places held it", name, held)
		}
		number++
		dir := filepath.Join(base, fmt.Sprint(number))
		web, root, url := filepath.Join(dir, "repository"), filepath.Join(dir, "repository", "1.root.json"), fmt.Sprintf("%s/%d/repository", server.URL, number)
		e.writeWeb(t, web, "")
		check(t, os.Mkdir(dir+".pulled", 0o700))
		for _, args := range [][]string{
			{"status", "--path", dir, "--markdown"}, {"status", "--path", dir, "--json"}, {"status", "--url", url, "--root", root},
			{"list", "--path", dir}, {"list", "--path", dir, "--markdown"}, {"list", "--path", dir, "--history"}, {"list", url, "--root", root},
			{"verify", web}, {"verify", web, "--json"}, {"verify", web, "--all-targets"}, {"verify", url, "--root", root},
			{"promote", "1.0.0", "--from", "stable", "--to", "edge", "--path", dir, "--stage-only"},
			{"pull", "file://" + web, "--root", root, "--path", dir + ".pulled"}, {"doctor", "--path", dir},
			{"rotate", "snapshot", "--plan", "--threshold", "2", "--path", dir}, {"discard", "--path", dir}, {"gc", "--dry-run", "--path", dir},
		} {
			clean(t, fmt.Sprintf("%s, %q", name, args), text, inProcess(args...))
		}
	}
}

// TestWordsOfAChange: the same for what somebody proposes, as a request and as a staged
// change in a folder.
func TestWordsOfAChange(t *testing.T) {
	t.Parallel()
	honest, base := newEstate(t), t.TempDir()
	for name, text := range attacks {
		e, held := honest.everywhere(text, proposed, func(p spot, altered *estate) bool {
			r := reviewBytes(altered.request(t))
			clean(t, fmt.Sprintf("%s, %s, review", p, name), text, r)
			return r.code == exitOK
		})
		if held < 2 {
			t.Errorf("%s: only %d places held it", name, held)
		}
		dir := filepath.Join(base, name)
		file, config := dir+".request", dir+".yaml"
		e.write(t, dir, "")
		check(t, os.WriteFile(file, e.request(t), 0o600))
		check(t, os.WriteFile(config, nil, 0o600))
		root := dir + ".root.json"
		check(t, os.WriteFile(root, e.envelope(t, "root"), 0o600))
		if r := inProcess("sign", file, "--config", config, "--root", root, "--reviewed", e.hash(t, "staged_root"), "--reviewed", e.hash(t, "staged_targets")); r.code != exitShort {
			t.Errorf("%s: signing with no key here: exit %d\n%s", name, r.code, r.stderr)
		} else {
			clean(t, name+", sign --root", text, r)
		}
		for _, args := range [][]string{
			{"review", file, "--config", config}, {"review", file, "--config", config, "--json"},
			{"sign", file, "--config", config, "--reviewed", "00000000"}, {"sign", file, "--config", config},
			{"attach", file, "--path", dir}, {"review", "--path", dir}, {"status", "--path", dir}, {"status", "--path", dir, "--markdown"},
			{"list", "--path", dir, "--staged"}, {"commit", "--path", dir}, {"request", "--path", dir, "-o", dir + ".new"},
			{"rotate", "snapshot", "--plan", "--threshold", "2", "--path", dir}, {"sign", "--path", dir}, {"discard", "--path", dir},
		} {
			clean(t, fmt.Sprintf("%s, %q", name, args), text, inProcess(args...))
		}
	}
}

// reviewBytes reviews a request as the command does, without a file of it.
func reviewBytes(data []byte) result {
	var out, errOut bytes.Buffer
	a := newApp(&out, &errOut)
	a.cfg, a.path = &config.Config{}, "."
	a.keys = ringOf(a.cfg)
	err := func() error {
		q, err := ceremony.Parse("change.request", data, time.Now())
		if err != nil {
			return err
		}
		w, err := a.session("review")
		if err != nil {
			return err
		}
		if _, err := w.Accept("change.request", q, ""); err != nil {
			return err
		}
		a.sayTrust(q)
		seen, err := w.ReviewRequest(q)
		if err != nil {
			return err
		}
		review.Show(a.out, seen, a.keys)
		return nil
	}()
	return result{a.exit(context.Background(), err), out.String(), errOut.String()}
}

// TestWordsOfAFile: the same for a configuration and a manifest.
func TestWordsOfAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := newEstate(t)
	e.writeWeb(t, filepath.Join(dir, "repository"), "")
	id := e.tree["root"].(map[string]any)["signed"].(map[string]any)["roles"].(map[string]any)["root"].(map[string]any)["keyids"].([]any)[0].(string)
	files := map[string]struct {
		content map[string]any
		args    [][]string
	}{
		"fleet-hsm.yaml": {map[string]any{
			"pkcs11": map[string]any{"module": "/x.so"}, "expires": map[string]any{"root": "52w"}, "warn": map[string]any{"root": "1w"},
			"store": "file:///x", "trusted-root": "root.json", "transcript": "log", "attestation-ca": "ca.pem",
			"policy":  map[string]any{"root": map[string]any{"keys": "attested"}, "targets": map[string]any{"names": []any{"orbit"}, "max-expiry": "52w"}},
			"secrets": map[string]any{"pkcs11:token=fleet": "file:/pin"}, "keys": map[string]any{id: map[string]any{"uri": "piv:serial=1;slot=9c", "name": "blue"}},
		}, [][]string{{"status", "--path", dir}, {"status", "--path", dir, "--markdown"}, {"publish", "--dry-run", "--path", dir}}},
		"release.yaml": {map[string]any{
			"version": "2", "channels": []any{"stable"}, "targets": []any{map[string]any{"name": "orbit", "platform": "linux", "file": "orbit"}},
		}, [][]string{{"add", "--manifest", filepath.Join(dir, "release.yaml"), "--stage-only", "--path", dir}, {"status", "--path", dir}, {"discard", "--path", dir}}},
	}
	check(t, os.WriteFile(filepath.Join(dir, "orbit"), []byte("#!/bin/sh\n"), 0o600))
	for file, f := range files {
		honest := &estate{tree: f.content}
		for name, text := range attacks {
			for _, p := range honest.spots() {
				check(t, os.WriteFile(filepath.Join(dir, file), encoded(t, honest.with(p, text).tree), 0o600))
				for _, args := range f.args {
					clean(t, fmt.Sprintf("%s, %s, %s, %s", file, p, name, args[0]), text, inProcess(args...))
				}
			}
		}
		check(t, os.Remove(filepath.Join(dir, file)))
	}
}
