package verify_test

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

func metaFaults() []fault {
	return []fault{
		{name: "timestamp missing", after: remove("timestamp.json"), code: verify.CodeMissing, severity: verify.Error, file: "timestamp.json"},
		{name: "N.snapshot.json missing", consistent: true, after: remove("2.snapshot.json"), code: verify.CodeMissing, severity: verify.Error, file: "2.snapshot.json"},
		{name: "N.targets.json missing", consistent: true, after: remove("2.targets.json"), code: verify.CodeMissing, severity: verify.Error, file: "2.targets.json"},
		{name: "the copy of targets is another", consistent: true, after: func(m *maker) { m.change("targets.json", func(b []byte) []byte { return append(b, ' ') }) }, code: verify.CodeCopy, severity: verify.Warning, file: "targets.json"},
		{name: "the copy of snapshot is missing", consistent: true, after: remove("snapshot.json"), code: verify.CodeCopy, severity: verify.Warning, file: "snapshot.json"},
		{name: "an older copy laid over the folder", consistent: true, after: func(m *maker) {
			older := *m
			older.versions = map[string]int64{"timestamp": 1, "snapshot": 1, "targets": 1}
			older.write()
		}, code: verify.CodeWentBack, severity: verify.Warning, file: "2.snapshot.json"},
		{name: "an older snapshot than named", after: func(m *maker) {
			other := *m
			other.versions = map[string]int64{"timestamp": 2, "snapshot": 1, "targets": 1}
			other.dir = m.dir + "-old"
			other.write()
			m.put("snapshot.json", other.get("snapshot.json"))
		}, code: verify.CodeMetaVersion, severity: verify.Error, file: "snapshot.json"},
		{name: "targets with other bytes of the same length", after: func(m *maker) {
			m.change("targets.json", func(b []byte) []byte { return bytes.Replace(b, []byte("1.2.3"), []byte("1.2.4"), 1) })
		}, code: verify.CodeMetaHash, severity: verify.Error, file: "targets.json"},
		{name: "a wrong length in snapshot", before: meta("snapshot", "targets.json", func(e map[string]any) { e["length"] = 17 }), code: verify.CodeMetaLength, severity: verify.Error, file: "targets.json"},
		{name: "timestamp names no snapshot", before: field("timestamp", "meta", map[string]any{}), code: verify.CodeMetaMissing, severity: verify.Error, file: "timestamp.json"},
		{name: "snapshot without sha512", before: meta("timestamp", "snapshot.json", func(e map[string]any) { delete(e, "hashes") }), code: verify.CodeSHA512, severity: verify.Warning, file: "timestamp.json"},
		{name: "a hash of an unknown algorithm", before: meta("snapshot", "targets.json", func(e map[string]any) {
			e["hashes"].(map[string]any)["blake2b"] = "00"
		}), code: verify.CodeHashForm, severity: verify.Error},
		{name: "a FIFO for timestamp", after: func(m *maker) { fifo(m, "timestamp.json") }, code: verify.CodeNotRegular, severity: verify.Error, file: "timestamp.json"},
		{name: "a FIFO for the next root", after: func(m *maker) { fifo(m, "2.root.json") }, code: verify.CodeNotRegular, severity: verify.Error, file: "2.root.json"},
		{name: "a folder for snapshot", after: func(m *maker) {
			remove("snapshot.json")(m)
			m.put("snapshot.json/x", nil)
		}, code: verify.CodeNotRegular, severity: verify.Error},
		{name: "a snapshot that names a role nobody delegates to", before: func(m *maker) {
			m.edit["snapshot"] = func(signed map[string]any) {
				signed["meta"].(map[string]any)["other.json"] = map[string]any{"version": 1}
			}
		}, code: verify.CodeDelegation, severity: verify.Warning},
		{name: "33 delegated roles", before: manyDelegations, code: verify.CodeDelegationLimit, severity: verify.Error},
	}
}

func targetFaults() []fault {
	const name = "orbit/linux/stable/orbit"
	rename := func(to string) func(m *maker) {
		return func(m *maker) { m.files[to] = "renamed" }
	}
	entryOnly := func(to string) func(m *maker) {
		return func(m *maker) {
			m.edit["targets"] = func(signed map[string]any) {
				all := signed["targets"].(map[string]any)
				all[to] = all[name]
			}
		}
	}
	hashed := func(m *maker) string { return hashedName(name, m.files[name]) }
	return []fault{
		{name: "a target missing", after: remove("targets/" + name), code: verify.CodeTargetMissing, severity: verify.Error, file: "targets/" + name},
		{name: "a hash-named target missing", consistent: true, after: func(m *maker) { remove(hashed(m))(m) }, code: verify.CodeTargetMissing, severity: verify.Error},
		{name: "one changed byte", after: func(m *maker) {
			m.change("targets/"+name, func(b []byte) []byte { b[3] ^= 1; return b })
		}, code: verify.CodeTargetHash, severity: verify.Error, file: "targets/" + name},
		{name: "one changed byte, consistent", consistent: true, after: func(m *maker) {
			m.change(hashed(m), func(b []byte) []byte { b[3] ^= 1; return b })
		}, code: verify.CodeTargetHash, severity: verify.Error},
		{name: "a target with an old tail", after: func(m *maker) {
			m.change("targets/"+name, func(b []byte) []byte { return append(b, "tail"...) })
		}, code: verify.CodeTargetLength, severity: verify.Error},
		{name: "a FIFO for a target", after: func(m *maker) { fifo(m, "targets/"+name) }, code: verify.CodeNotRegular, severity: verify.Error},
		{name: "an empty target", before: func(m *maker) { m.files[name] = "" }, code: verify.CodeTargetEmpty, severity: verify.Warning},
		{name: "no custom version", before: target(func(e map[string]any) { delete(e, "custom") }), code: verify.CodeTargetVersion, severity: verify.Error},
		{name: "an empty custom version", before: target(func(e map[string]any) { e["custom"] = map[string]any{"version": ""} }), code: verify.CodeTargetVersion, severity: verify.Error},
		{name: "more in custom", before: target(func(e map[string]any) { e["custom"].(map[string]any)["os"] = "linux" }), code: verify.CodeTargetVersion, severity: verify.Warning},
		{name: "only sha256", before: target(func(e map[string]any) {
			sum := sha256.Sum256([]byte("orbit for linux"))
			e["hashes"] = map[string]any{"sha256": hexOf(sum[:])}
		}), code: verify.CodeSHA512, severity: verify.Error},
		{name: "a sha512 that is not one", before: target(func(e map[string]any) { e["hashes"] = map[string]any{"sha512": "abcd"} }), code: verify.CodeHashForm, severity: verify.Error},
		{name: "sha256 given, its hash-named file not there", consistent: true, before: target(func(e map[string]any) {
			sum := sha256.Sum256([]byte("orbit for linux"))
			e["hashes"].(map[string]any)["sha256"] = hexOf(sum[:])
		}), code: verify.CodeTargetHashName, severity: verify.Warning},
		{name: "a negative length", before: target(func(e map[string]any) { e["length"] = -1 }), code: verify.CodeTargetLength, severity: verify.Error},
		{name: "three parts", before: rename("desktop/windows/desktop.exe"), code: verify.CodeTargetParts, severity: verify.Warning},
		{name: "an extension with four parts", before: rename("extensions/linux/stable/hello.ext"), code: verify.CodeTargetParts, severity: verify.Warning},
		{name: "127 bytes in the last element", consistent: true, before: entryOnly("orbit/linux/stable/" + strings.Repeat("n", 127)), code: verify.CodeTargetName, severity: verify.Error},
		{name: "a path that climbs out", before: entryOnly("orbit/../../etc/passwd"), code: verify.CodeTargetPath, severity: verify.Error},
		{name: "a path with a query", before: entryOnly("orbit/linux/stable?/orbit"), code: verify.CodeTargetPath, severity: verify.Error},
		{name: "a backslash", before: entryOnly(`orbit/windows/stable/..\orbit.exe`), code: verify.CodeTargetPath, severity: verify.Error},
		{name: "a control character", before: entryOnly("orbit/linux/stable/or\nbit"), code: verify.CodeTargetPath, severity: verify.Error},
		{name: "a null target", before: func(m *maker) {
			m.edit["targets"] = func(signed map[string]any) { signed["targets"].(map[string]any)["a/b/c/d"] = nil }
		}, code: verify.CodeMalformed, severity: verify.Error},
	}
}
