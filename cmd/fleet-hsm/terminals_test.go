//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What differs from run to run in what a terminal shows, and what stands there in docs/terminals.
var terminalChanges = []struct {
	what func() *regexp.Regexp
	kept string
}{
	{later("\x1b\\[[0-9;]*[A-Za-z]"), ""},
	{later(`(?m)^.*\r([^\r\n])`), "$1"},
	{later(`\r`), ""},
	{later(`(?m)^(\{"time"|curl: |Warning: |@|pending/|.*[Tt]ouch |.*hashing|.*uploading).*\n`), ""},
	{later(`(?m)^  words .*\n( +> .*\n)*`), "  words     (24 words)\n"},
	{later(`\d\.\d+e\+\d+`), "1.2e+06"},
	{later(`/tmp/fleet-hsm-test-\d+/state`), "/var/lib"},
	{later(`\b[0-9a-f]{128}\b`), "0123abcd..."},
	{later(`[0-9a-f]{8}( [0-9a-f]{8}){3,7}`), "0123abcd ..."},
	{later(`\b[0-9a-f]{64}\b`), "0123abcd..."},
	{later(`\b([0-9a-f]{16}|[0-9a-f]{12})\b( [0-9a-f]{16})*`), "0123abcd"},
	{later(`id=(%[0-9a-f]{2}|[A-Za-z0-9_.~-])+`), "id=%01%23"},
	{later(`\b20\d\d-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?Z?)?`), "2026-12-01"},
	{later(`\bin \d+ (days|hours)\b`), "in N $1"},
	{later(`good for \d+ (days|hours)`), "good for N $1"},
	{later(`\b\d+ (B|bytes)( |\b)`), "N $1$2"},
	{later(`127\.0\.0\.1:\d+`), "127.0.0.1:9000"},
	{later(`\b\d+(\.\d+)?(ms|µs)\b`), "1ms"},
	{later(`by ("?[a-z]+"?) of [^,]+,`), "by $1 of ann,"},
	{later(`(?m)[ \t]+$`), ""},
}

// keptTerminal compares what a run showed with the terminal in docs/terminals, which people
// read before they do it themselves. FLEET_HSM_UPDATE_SCREENS=1 keeps what was shown.
func keptTerminal(t *testing.T, name, head, shown string, paths map[string]string) {
	t.Helper()
	for from, to := range paths {
		shown = strings.ReplaceAll(shown, from, to)
	}
	for _, c := range terminalChanges {
		shown = c.what().ReplaceAllString(shown, c.kept)
	}
	text := "# " + head + "\n# Made from a run by a test (FLEET_HSM_UPDATE_SCREENS=1 go test ./cmd/fleet-hsm); dates, hashes\n# and numbers that differ each time stand for themselves.\n\n" + strings.TrimSpace(shown) + "\n"
	file := filepath.Join("..", "..", "docs", "terminals", name)
	if os.Getenv(updateScreens) != "" {
		check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		check(t, os.WriteFile(file, []byte(text), 0o644))
		return
	}
	kept, err := os.ReadFile(file)
	check(t, err)
	if string(kept) != text {
		t.Errorf("docs/terminals/%s: the run shows\n%s\nand not\n%s", name, text, kept)
	}
}

// echoed is a script that shows each command, as a person types it, before it runs it.
func echoed(commands string) string {
	var b strings.Builder
	command := ""
	for line := range strings.Lines(commands) {
		command += line
		if strings.HasSuffix(strings.TrimSpace(line), "\\") {
			continue
		}
		if c := strings.TrimSpace(command); c != "" {
			b.WriteString("cat <<'@@'\n$ " + c + "\n@@\n" + c + "\n")
		}
		command = ""
	}
	return b.String()
}
