package config

import (
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"", "expires: {root: 52w, timestamp: 336h}\n", "store: s3://updates/fleet\n",
		"pkcs11: {module: /usr/lib/softhsm/libsofthsm2.so}\n",
		"secrets: {\"pkcs11:token=fleet\": \"file:/run/credentials/pin\"}\n",
		"keys:\n  5d0f: {uri: \"piv:serial=15835999;slot=9c\", name: \"blue YubiKey\"}\n",
		"keys: {a: {uri: \"file:keys/root.json\"}, a: {uri: \"file:x\"}}\n",
		"keys: &a {x: *a}\n", "expires: !!binary aGk=\n", "---\n---\n", "{[", "warn: {root: 1d}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, kinds())
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
			return
		}
		for role, d := range c.Expiries {
			if !meta.IsRole(role) || d <= 0 {
				t.Errorf("expires: %s: %s was accepted", role, d)
			}
		}
		for id := range c.Keys {
			if c.Locations[id].IsZero() {
				t.Errorf("key %q has no place", id)
			}
		}
		for _, s := range c.SecretSources {
			if CheckSource(s.Source) != nil {
				t.Errorf("source %q was accepted", s.Source)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	for _, s := range []string{
		"version: 1.2.3\nchannels: [\"1\", stable]\ntargets:\n  - {name: orbit, platform: linux, file: orbit}\n",
		"version: 1.2.3\ntargets: [{name: orbit, platform: linux, file: /abs}]\n",
		"version: 1\nversion: 2\n", "version: [1]\n", "targets: 7\n", "version: 1\ntargets: [null]\n", "",
		"version: 1\nchannels: [.., \"a/b\", \"\"]\ntargets: [{name: .., platform: linux, file: x}]\n",
		"a: &a [*a]\n", "version: 1\n---\nversion: 2\n", "version: 1.10\ntargets: [{name: x, platform: y, file: z}]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := parseManifest(data, "/release")
		if err != nil {
			return
		}
		if len(items) == 0 {
			t.Error("an empty release was accepted")
		}
		for _, it := range items {
			if it.Name == "" || it.Platform == "" || it.Version == "" || it.File == "" {
				t.Errorf("an item without a part was accepted: %+v", it)
			}
			if !strings.HasPrefix(it.File, "/") {
				t.Errorf("file %q is not where the manifest says", it.File)
			}
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"14d", "2w", "336h", "1d12h", "1.5d", "-3d", "+1h", "0", "", "d", "1", "99999999w", "1d-5h", "9223372036s", "292y", "0.0000001d", "1e3h", "..d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if strings.HasPrefix(strings.TrimPrefix(s, "+"), "-") != (d < 0) && d != 0 {
			t.Errorf("%q is %s", s, d)
		}
		again, err := ParseDuration(showDuration(d))
		if err != nil || again != d {
			t.Errorf("%q is %s, written as %q, which is %s (%v)", s, d, showDuration(d), again, err)
		}
	})
}

func FuzzSource(f *testing.F) {
	for _, s := range []string{"file:/run/pin", "fd:3", "env:PIN", "cmd:pass show pin", "file:", "fd:-1", "fd:x", "pin:1234", "hunter2", ":", "fd:99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, rest, ok := strings.Cut(s, ":")
		known := kind == "file" || kind == "fd" || kind == "env" || kind == "cmd"
		if err := CheckSource(s); err == nil && (!ok || rest == "" || !known) {
			t.Errorf("source %q was accepted", s)
		}
	})
}
