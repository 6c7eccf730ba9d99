package verify_test

import (
	"crypto/sha512"
	"encoding/hex"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// missing stands for the days of a role whose content is not there.
const missing = 2

// cold delegates pattern to a role that holds path as version, and expires after targets,
// or tomorrow.
func cold(path, pattern, version string, days int) func(m *maker) {
	return func(m *maker) {
		k := ed25519Key()
		const name = "archive-orbit-linux"
		content, there := m.files[path]
		if !there {
			content = "content of the archive"
		}
		if place := "targets/" + path; !there && days != missing {
			if m.consistent {
				sum := sha512.Sum512([]byte(content))
				place = "targets/" + filepath.Dir(path) + "/" + hex.EncodeToString(sum[:]) + "." + filepath.Base(path)
			}
			m.put(place, []byte(content))
		}
		m.edit[name] = func(signed map[string]any) {
			sum := sha512.Sum512([]byte(content))
			signed["targets"] = map[string]any{path: map[string]any{
				"length": len(content), "hashes": map[string]any{"sha512": hex.EncodeToString(sum[:])},
				"custom": map[string]any{"version": version},
			}}
		}
		expires := m.now.AddDate(4, 0, 0)
		if days < 0 {
			expires = m.now.AddDate(0, 0, 1)
		}
		data := m.sign(name, metadata.Targets(expires).Signed, []*key{k})
		file := name + ".json"
		if m.consistent {
			m.put("1."+file, data)
		}
		m.put(file, data)
		m.edit["targets"] = func(signed map[string]any) {
			signed["delegations"] = map[string]any{"keys": map[string]any{k.id: k.entry}, "roles": []any{map[string]any{
				"name": name, "keyids": []string{k.id}, "threshold": 1, "terminating": false, "paths": []string{pattern},
			}}}
		}
		m.edit["snapshot"] = func(signed map[string]any) {
			signed["meta"].(map[string]any)[file] = toMap(describe(data, 1))
		}
	}
}

// coldFaults are the traps of delegated roles that clients do not refuse at once.
func coldFaults() []fault {
	const pattern = "orbit/linux/*/orbit"
	return []fault{
		{name: "a cold role that expires before targets", before: cold("orbit/linux/1.0.0/orbit", pattern, "1.0.0", -1), code: verify.CodeColdExpiry, severity: verify.Warning, file: "archive-orbit-linux.json"},
		{name: "a channel in a cold role", before: cold("orbit/linux/old/orbit", pattern, "1.0.0", 1), code: verify.CodeColdChannel, severity: verify.Warning, file: "archive-orbit-linux.json"},
		{name: "a target in two roles", before: cold("orbit/linux/stable/orbit", pattern, "1.2.3", 1), code: verify.CodeTargetTwice, severity: verify.Warning, file: "archive-orbit-linux.json"},
		{name: "an entry that no pattern matches", before: cold("orbit/macos/1.0.0/orbit", pattern, "1.0.0", 1), code: verify.CodeDelegation, severity: verify.Warning, file: "archive-orbit-linux.json"},
		{name: "content of an archived version is missing", before: cold("orbit/linux/1.0.0/orbit", pattern, "1.0.0", missing), code: verify.CodeTargetMissing, severity: verify.Error},
	}
}
