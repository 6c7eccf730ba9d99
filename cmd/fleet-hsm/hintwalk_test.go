//go:build cgo && linux

package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A refusal must not be the end of the road: the commands in its hint, in order, lead to
// the refused command's own exit 0, in three steps at most. Where a person has to bring
// something (a name, a number, a file), the table says what, and the command is then
// given with it.

// hintWalk is one refusal and the way out of it.
type hintWalk struct {
	kind    string
	setup   string            // shell; the folder is a new repository and orbit, other are files
	command string            // refused with that kind
	supply  map[string]string // what stands for a word of the hint, such as URL
	brings  string            // what a person brings; then
	then    string            // the command with it
	layout  string            // "" for consistent
}

// reviewed is the hash of the one payload that waits.
const reviewed = `$(fleet-hsm review --json 2>/dev/null | grep -o '"sha256":"[0-9a-f]*"' | head -1 | cut -d'"' -f4)`

const release = "--name orbit --platform linux"

func hintWalks() []hintWalk {
	return []hintWalk{
		{kind: "version-taken", setup: "fleet-hsm add --target orbit --version 1 " + release,
			command: "add --target other --version 1 " + release, brings: "a new version", then: "add --target other --version 2 " + release},
		{kind: "shorter-expiry", setup: `echo 'expires: {targets: 24h}' >fleet-hsm.yaml`,
			command: "rotate targets --renew", brings: "that the shorter expiry is meant", then: "rotate targets --renew --allow-shorter"},
		{kind: "went-back", setup: "cp -r repository old; fleet-hsm rotate targets; cp old/root.json old/targets.json old/snapshot.json old/timestamp.json repository/",
			command: "rotate targets"},
		{kind: "went-back", setup: "fleet-hsm rotate root; rm repository/root.json", command: "add --target orbit --version 1 " + release},
		{kind: "faulty", setup: "fleet-hsm add --target orbit --version 1 " + release + "; rm repository/2.targets.json", command: "rotate timestamp"},
		{kind: "no-repository", command: "add --path new --target orbit --version 1 " + release, setup: "mkdir new",
			supply: map[string]string{"fleet-hsm init": "fleet-hsm init --path new"}},
		{kind: "nothing-staged", command: "commit",
			brings: "a change: mv keys/timestamp.json away; fleet-hsm add --target orbit --version 1 " + release + " || true; mv away keys/timestamp.json"},
		{kind: "exists", command: "init", brings: "another folder", then: "init --path new", setup: "mkdir new"},
		{kind: "no-change", command: "rotate targets --threshold 1", brings: "what is to change", then: "rotate targets"},
		{kind: "not-found", setup: "fleet-hsm add --target orbit --version 1 -t edge " + release, command: "promote 2 --from edge --to stable", brings: "a version that list shows", then: "promote 1 --from edge --to stable"},
		{kind: "unknown-key", command: "rotate root --remove 0123456789abcdef", brings: "a key ID that status lists", then: "rotate root"},
		{kind: "last-key", command: `rotate root --remove "$(fleet-hsm status --json 2>/dev/null | grep -o '"keyid":"[0-9a-f]*"' | head -1 | cut -d'"' -f4)"`,
			brings: "the key that takes its place", then: "rotate root"},
		{kind: "threshold-high", command: "rotate targets --threshold 2", brings: "a lower --threshold", then: "rotate targets"},
		{kind: "missing", setup: "fleet-hsm add --target orbit --version 1 -t edge " + release + "; fleet-hsm add --target other --version 1 -t stable --name other --platform linux",
			command: "promote 1 --from edge --to stable", brings: "which component is meant", then: "promote 1 --from edge --to stable --name orbit"},
		{kind: "path-taken", setup: "mkdir elsewhere; rmdir repository/targets; ln -s ../elsewhere repository/targets",
			command: "add --target orbit --version 1 " + release, brings: "a folder in place of the link: rm repository/targets", then: ""},
		{kind: "short", setup: "mv keys/targets.json away", command: "add --target orbit --version 1 " + release,
			supply: map[string]string{"fleet-hsm sign": "mv away keys/targets.json; fleet-hsm sign --reviewed " + reviewed},
			brings: "the key, plugged in again, and the hash that review prints", then: "promote 1 --from 1 --to beta"}, // only what is published
		{kind: "reviewed-mismatch", setup: "fleet-hsm add --stage-only --target orbit --version 1 " + release, command: "sign --reviewed 0123456789abcdef",
			brings: "the hash that review prints", then: "sign --reviewed " + reviewed},
		{kind: "not-reviewed", setup: "fleet-hsm add --stage-only --target orbit --version 2 " + release, command: "add --target orbit --version 1 " + release,
			brings: "the hash that review prints", then: "add --target orbit --version 1 " + release + " --reviewed " + reviewed},
		{kind: "expires-soon", setup: "echo 'expires: {timestamp: 24h}' >fleet-hsm.yaml; fleet-hsm timestamp --allow-shorter; rm fleet-hsm.yaml",
			command: "status --fail-within 2d", brings: "the command that status names: fleet-hsm timestamp"},
		{kind: "store-ahead", setup: "fleet-hsm publish file://$PWD/web; mkdir b; cp -r repository keys pending b; fleet-hsm rotate targets; fleet-hsm publish file://$PWD/web",
			command: "publish --path b file://$PWD/web", supply: map[string]string{"fleet-hsm pull": "fleet-hsm pull --path b file://$PWD/web"}},
		{kind: "rollback", setup: "fleet-hsm publish file://$PWD/web; fleet-hsm rotate targets",
			command: "pull file://$PWD/web", supply: map[string]string{"fleet-hsm publish": "fleet-hsm publish file://$PWD/web"}},
		{kind: "uncovered", setup: "fleet-hsm publish file://$PWD/web; mv keys/timestamp.json away; fleet-hsm add --target orbit --version 1 " + release + " || fleet-hsm commit --without-timestamp; mv away keys/timestamp.json",
			command: "publish file://$PWD/web"},
		{kind: "stale-timestamp", layout: "flat", setup: "fleet-hsm publish file://$PWD/web; mkdir b; cp -r repository keys pending b; fleet-hsm timestamp; fleet-hsm timestamp; fleet-hsm timestamp; fleet-hsm publish file://$PWD/web; fleet-hsm rotate snapshot --path b",
			command: "publish --path b file://$PWD/web", supply: map[string]string{"fleet-hsm timestamp": "fleet-hsm timestamp --path b"}},
		{kind: "store-diverged", setup: "fleet-hsm publish file://$PWD/web; mkdir b; cp -r repository keys pending b; fleet-hsm add --target other --version 2 --name other --platform linux; fleet-hsm publish file://$PWD/web; fleet-hsm add --path b --target orbit --version 1 " + release,
			command: "publish --path b file://$PWD/web",
			supply:  map[string]string{"fleet-hsm pull --targets --path NEW --root repository/1.root.json": "fleet-hsm pull --targets --path new --root b/repository/1.root.json file://$PWD/web"},
			brings:  "the keys, and the change again: cp -r keys new; fleet-hsm add --path new --target orbit --version 1 " + release, then: "publish --path new file://$PWD/web"},
		{kind: "content-missing", setup: "fleet-hsm add --target orbit --version 1 " + release + "; fleet-hsm publish file://$PWD/web; rm -r repository/targets/orbit",
			command: "publish file://$PWD/web2", supply: map[string]string{"fleet-hsm pull --targets": "fleet-hsm pull --targets file://$PWD/web"}},
		{kind: "no-store", command: "publish file://$PWD/no/web", brings: "the folder: mkdir no", then: ""},
		{kind: "store-url", command: "publish file://", brings: "a URL", then: "publish file://$PWD/web"},
		{kind: "file-mode", setup: "chmod 644 keys/timestamp.json", command: "timestamp", brings: "what the hint says: chmod 600 keys/timestamp.json", then: ""},
		{kind: "content", command: "add --target gone --version 1 " + release, brings: "a file that is there", then: "add --target orbit --version 1 " + release},
		{kind: "lint", setup: "cp /bin/true exe", command: "add --target exe --version 1 --name orbit --platform windows", brings: "that it is meant so",
			then: "add --target exe --version 1 --name orbit --platform windows --no-lint all"},
		{kind: "usage", command: "timestamp --nonsense", brings: "a flag that its help lists", then: "timestamp"},
		{kind: "no-secret", command: "timestamp --no-input --timestamp-key 'file:keys/timestamp.json?pin-source=file:gone'", brings: "the secret", then: "timestamp"},
		{kind: "newer", setup: "fleet-hsm add --stage-only --target orbit --version 1 " + release + "; sed -i 's/\"schema\":1/\"schema\":2/' pending/change.json",
			command: "review", brings: "the version that wrote it: sed -i 's/\"schema\":2/\"schema\":1/' pending/change.json", then: ""},
		{kind: "found", setup: "fleet-hsm publish file://$PWD/web; cp web/timestamp.json old; fleet-hsm timestamp --expires timestamp=15d; fleet-hsm publish file://$PWD/web; fleet-hsm watch --once web --root repository/1.root.json --state state; cp old web/timestamp.json",
			command: "watch --once web --root repository/1.root.json --state state", brings: "what docs/watch.md says: fleet-hsm publish file://$PWD/web", then: ""},
		{kind: "key-file", setup: "cp keys/timestamp.json copy; echo '{}' >keys/timestamp.json", command: "timestamp", brings: "the copy: cp copy keys/timestamp.json", then: ""},
	}
}

var quotedCommand = later(`"(fleet-hsm [^"]*)"`)

// TestHintWalkCoversEveryKind: every kind that the source can give is brought about, and
// led out of, by the table here or by a script of testdata/hints.
func TestHintWalkCoversEveryKind(t *testing.T) {
	t.Parallel()
	kinds := errorKinds(t)
	walked := map[string]bool{}
	for _, w := range hintWalks() {
		walked[w.kind] = true // one kind may be walked from several states
	}
	for _, kind := range scriptedKinds(t) {
		walked[kind] = true
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if !walked[kind] {
			t.Errorf("%s: nothing brings about the kind %q and leads out of it", kinds[kind], kind)
		}
	}
	for kind := range walked {
		if _, ok := kinds[kind]; !ok {
			t.Errorf("no error has the kind %q", kind)
		}
	}
}

func TestHintWalk(t *testing.T) {
	t.Parallel()
	for _, w := range hintWalks() {
		t.Run(w.kind, func(t *testing.T) { t.Parallel(); w.walk(t) })
	}
}

func (w hintWalk) walk(t *testing.T) {
	layout := w.layout
	if layout == "" {
		layout = "consistent"
	}
	dir := copyRepo(t, layout)
	for name, content := range map[string]string{"orbit": "orbit", "other": "another"} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := shell(t, dir, w.setup); code != 0 {
		t.Fatalf("setup: exit %d\n%s", code, out)
	}
	code, kind, hint := refusal(t, dir, w.command)
	if code == 0 || kind != w.kind || hint == "" {
		t.Fatalf("%q: exit %d, kind %q, hint %q", w.command, code, kind, hint)
	}
	done := map[string]bool{}
	for range 3 {
		for _, m := range quotedCommand().FindAllStringSubmatch(hint, -1) {
			c := m[1]
			if s := w.supply[c]; s != "" {
				c = s
			}
			if strings.ContainsAny(c, "%") || strings.Contains(c, "FILE") || strings.Contains(c, "--help") || done[c] {
				continue
			}
			done[c] = true
			if code, out := shell(t, dir, c); code != 0 {
				t.Fatalf("the hint's %q: exit %d\n%s", c, code, out)
			}
			break
		}
		command := w.command
		if w.then != "" {
			command = w.then
		}
		// What a person brings may be commands.
		if _, c, found := strings.Cut(w.brings, ": "); found && !done[c] {
			done[c] = true
			if code, out := shell(t, dir, c); code != 0 {
				t.Fatalf("%q: exit %d\n%s", c, code, out)
			}
		}
		if code, _, hint = refusal(t, dir, command); code == 0 {
			return
		}
	}
	t.Errorf("%q does not come to its end in three steps; the last hint is %q", w.command, hint)
}

// refusal runs a command of ours and gives what it says with --json.
func refusal(t *testing.T, dir, command string) (code int, kind, hint string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "exec fleet-hsm --json "+command+" 2>&1 >/dev/null")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), secretEnv()...)
	out, _ := cmd.Output()
	var v struct {
		Error struct{ Kind, Hint string } `json:"error"`
	}
	for line := range strings.Lines(string(out)) {
		_ = json.Unmarshal([]byte(line), &v)
	}
	return cmd.ProcessState.ExitCode(), v.Error.Kind, v.Error.Hint
}

func shell(t *testing.T, dir, script string) (int, string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), secretEnv()...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
