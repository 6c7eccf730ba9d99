package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/piv"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

const someID = "5d0f000000000000000000000000000000000000000000000000000000000001"

// Nothing in the configuration is passed over: what is not understood is named with its
// line.
func TestStrict(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"expire: {root: 1d}":                               "line 1: field expire not found",
		"pkcs11: {modul: x}":                               "line 1: field modul not found",
		"piv: {module: x}":                                 "line 1: field piv not found",
		"store: x\nfile: y":                                "line 2: field file not found",
		"locations: {}":                                    "field locations not found",
		"expiries: {}":                                     "field expiries not found",
		"secretsources: []":                                "field secretsources not found",
		"store: x\nstore: y":                               `line 2: mapping key "store" already defined`,
		"store: x\n---\nstore: y":                          "more than one document",
		"expires: {mirrors: 1d}":                           `expires: "mirrors" is not a role`,
		"expires: {root: 0d}":                              `expires: root: "0d" is not a time to come`,
		"warn: {root: soon}":                               `warn: root: "soon" is not a duration`,
		`keys: {../0011: {uri: "file:x"}}`:                 `"../0011" is not a key ID`,
		`keys: {` + someID + `: {uri: "x:y"}}`:             `keys: 5d0f000000000000: key URI "x:y": unknown scheme`,
		`secrets: {"pkcs11:token=x": hunter2}`:             "not the secret itself",
		`secrets: {"pkcs11:token=x": "fd:x"}`:              `"x" is not a file descriptor`,
		"policy: {mirrors: {}}":                            `line 1: policy: "mirrors" is not a role`,
		"policy:\n  root:\n    max-size: 1":                `line 3: policy: root: max-size: unknown field`,
		"policy:\n  root: {keys: soft}":                    `line 2: policy: root: keys: "soft" is neither`,
		"policy: {root: {min-threshold: 0}}":               `"0" is not a number of keys`,
		"policy: {timestamp: {max-expiry: 1d}}":            "set its expiry themselves",
		"policy: {root: {names: [a]}}":                     "only targets has names",
		`policy: {targets: {names: ["["]}}`:                `pattern "["`,
		"policy: {root: {minimum-firmware: 5}}":            `"5" is not like 5.7`,
		"policy: {root: {keys: attested, keys: on-token}}": `"keys" stands twice`,
	} {
		if _, err := Parse([]byte(text), kinds()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}

func keyID(t *testing.T) tuf.KeyID {
	t.Helper()
	id, err := tuf.ParseKeyID(someID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte("expires: {root: 1w}\nwarn: {timestamp: 1d}\ntranscript: log\n"+
		"keys: {"+someID+": {uri: \"piv:serial=1;slot=9c\", name: blue}}\nsecrets: {\"pkcs11:token=x\": \"env:PIN\"}\n"+
		"policy:\n  targets:\n    names: [\"orbit/**\", \"desktop/*/stable/*\"]\n"), kinds())
	if err != nil {
		t.Fatal(err)
	}
	c.File = "/etc/fleet/fleet-hsm.yaml"
	day := 24 * time.Hour
	for what, ok := range map[string]bool{
		"expires":        c.Expiries[meta.RoleRoot] == 7*day,
		"warn":           c.Early(meta.RoleTimestamp) == day && c.Early(meta.RoleRoot) == 60*day,
		"keys":           c.Locations[keyID(t)].String() == "piv:serial=1;slot=9c",
		"secrets":        c.SecretSources[0].Source == "env:PIN",
		"relative files": c.Beside(c.Transcript) == "/etc/fleet/log" && c.Beside("/x") == "/x" && c.Beside("") == "",
		"lines":          c.Policy[meta.RoleTargets].Lines["names"] == 8,
	} {
		if !ok {
			t.Errorf("%s: read as %+v", what, c)
		}
	}
	for path, want := range map[string]bool{
		"orbit/linux/stable/orbit": true, "orbit": false, "orbiter/linux/stable/orbit": false,
		"desktop/linux/stable/desktop": true, "desktop/linux/edge/desktop": false, "desktop/linux/stable/a/b": false,
	} {
		if c.Policy[meta.RoleTargets].Allows(path) != want {
			t.Errorf("names allow %q: %v", path, !want)
		}
	}
	if err := c.Override([]string{"root=3d"}); err != nil || c.Expiries[meta.RoleRoot] != 3*day {
		t.Errorf("--expires: %v, %s", err, c.Expiries[meta.RoleRoot])
	}
	for _, bad := range []string{"root", "root=", "x=3d", "root=-3d"} {
		if err := c.Override([]string{bad}); !errors.As(err, new(*misuse.Error)) {
			t.Errorf("--expires %s: %v", bad, err)
		}
	}
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

// A configuration that others can write does not count; a request is never opened under
// one that came with it.
func TestWhichCounts(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	beside, own := filepath.Join(dir, "fleet-hsm.yaml"), filepath.Join(home, "fleet-hsm", "fleet-hsm.yaml")
	write(t, beside, "store: beside", 0o644)
	write(t, own, "store: own\nsecrets: {\"pkcs11:token=x\": \"file:pin\"}\nkeys: {"+someID+": {uri: \"file:root.json\"}}", 0o644)
	warned := 0
	where := Where{Folder: dir, Kinds: kinds(), Warn: func(string, ...any) { warned++ }}
	load := func(what, want string) *Config {
		t.Helper()
		c, err := where.Load()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if c.Store != want {
			t.Errorf("%s: the store is %q, not %q", what, c.Store, want)
		}
		return c
	}
	load("a command of the folder", "beside")
	where.Request = true
	c := load("a request", "own")
	if warned != 1 {
		t.Errorf("%d warnings", warned)
	}
	if u := c.Locations[keyID(t)]; u.Opaque != filepath.Join(home, "fleet-hsm", "root.json") {
		t.Errorf("a key file of the holder's configuration is looked for at %q", u.Opaque)
	}
	if s := c.SecretSources[0].Source; s != "file:"+filepath.Join(home, "fleet-hsm", "pin") {
		t.Errorf("a secret of the holder's configuration comes from %q", s)
	}
	where.Named = true
	load("a request with --path", "beside")
	where.Named = false
	write(t, filepath.Join(dir, "repository", "root.json"), "{}", 0o644)
	load("a request in a repository", "beside")
	write(t, beside, "store: beside", 0o666)
	for what, c := range map[string]struct {
		where Where
		want  func(error) bool
	}{
		"one that anybody can write":    {where, func(err error) bool { return errors.As(err, new(*owned.Error)) }},
		"one that was named and is not": {Where{Folder: dir, File: filepath.Join(dir, "none")}, func(err error) bool { return errors.As(err, new(*Error)) }},
		"a folder that is none":         {Where{Folder: beside}, func(err error) bool { return errors.As(err, new(*misuse.Error)) }},
		"a folder without any":          {Where{Folder: t.TempDir()}, func(err error) bool { return err == nil }},
	} {
		if _, err := c.where.Load(); !c.want(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What is remembered is added; what a person wrote stays.
func TestRemember(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fleet-hsm.yaml")
	write(t, file, "# by hand\nexpires:\n  root: 1w # long\n", 0o644)
	c, err := Parse(nil, kinds())
	if err != nil {
		t.Fatal(err)
	}
	c.File = file
	id := keyID(t)
	for _, step := range []struct{ uri, name, module, want string }{
		{"pkcs11:token=x;object=a", "blue", "/m.so", "pkcs11:token=x;object=a"},
		{"pkcs11:token=x;object=b", "", "/other.so", "pkcs11:token=x;object=b?module-path=/other.so"},
		{"piv:serial=1;slot=9c", "", "/other.so", "piv:serial=1;slot=9c"},
	} {
		given := signer.Settings{}
		given.Set("pkcs11", "module", step.module)
		if err := c.Remember([]Location{{KeyID: id, URI: step.uri, Name: step.name}}, given); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text, kinds())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if again.Keys[id].URI != step.want || again.Keys[id].Name != "blue" || again.Settings.Get("pkcs11", "module") != "/m.so" ||
			!strings.HasPrefix(string(text), "# by hand\n") || !strings.Contains(string(text), "root: 1w # long") {
			t.Errorf("%s is kept as\n%s", step.uri, text)
		}
		if want, _, _ := strings.Cut(step.want, "?"); c.Locations[id].String() != want {
			t.Errorf("%s is known as %s", step.uri, c.Locations[id])
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{"2w": 336 * time.Hour, "1d12h": 36 * time.Hour, "+1d": 24 * time.Hour, "-1d": -24 * time.Hour, "0": 0, "0.5d": 12 * time.Hour} {
		if d, err := ParseDuration(s); err != nil || d != want {
			t.Errorf("%q: %s, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "+", "-", "d", "1", "1x", "1d2", "--1d", "99999999w", "1e3d"} {
		if d, err := ParseDuration(s); err == nil {
			t.Errorf("%q is %s", s, d)
		}
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	good := `{version: "1", channels: [stable], targets: [{name: orbit, platform: linux, file: a}, {name: orbit, platform: macos, file: /b}]}`
	items, err := parseManifest([]byte(good), "/release")
	if err != nil || len(items) != 2 || items[0].File != "/release/a" || items[1].File != "/b" || items[1].Channels[0] != "stable" {
		t.Errorf("%+v, %v", items, err)
	}
	for text, want := range map[string]string{
		`targets: [{name: a, platform: b, file: c}]`: "version is missing",
		`version: "1"`: "targets is missing",
		`{version: "1", targets: [{name: a, file: c}]}`: "targets[0]: platform is missing",
		"version: \"1\"\ntarget: []":                    "line 2: field target not found",
		`{version: "1", targets: [{name: a, platform: b, file: c}, {name: a, platform: b, file: d}]}`: "listed twice",
	} {
		if _, err := parseManifest([]byte(text), "."); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func kinds() signer.Kinds {
	return signer.Kinds{file.Kind(), signer.PublicPart(), pkcs11.Kind(), piv.Kind()}
}
