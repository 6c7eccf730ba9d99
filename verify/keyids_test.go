package verify_test

import (
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// TestOnlyKeyIDsInFiles: whatever else stands where a key ID belongs, in each place, is an
// error of that file, although agents would pass over it.
func TestOnlyKeyIDsInFiles(t *testing.T) {
	t.Parallel()
	const digits = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
	keys := func(entry map[string]any, id string) {
		for _, k := range entry["keys"].(map[string]any) {
			entry["keys"].(map[string]any)[id] = k
			return
		}
	}
	places := map[string]struct {
		file string
		put  func(m *maker, id string)
	}{
		"a signature": {"timestamp.json", func(m *maker, id string) {
			m.roots[0]["timestamp"].keys = append(m.roots[0]["timestamp"].keys, renamed(ed25519Key(), id))
			m.edit["1.root.json"] = func(signed map[string]any) {
				delete(signed["keys"].(map[string]any), id)
				role := signed["roles"].(map[string]any)["timestamp"].(map[string]any)
				role["keyids"] = role["keyids"].([]any)[:1]
			}
		}},
		"a key": {"1.root.json", func(m *maker, id string) {
			m.edit["1.root.json"] = func(signed map[string]any) { keys(signed, id) }
		}},
		"a role": {"1.root.json", func(m *maker, id string) {
			m.edit["1.root.json"] = func(signed map[string]any) {
				keys(signed, id)
				role := signed["roles"].(map[string]any)["timestamp"].(map[string]any)
				role["keyids"] = append(role["keyids"].([]any), id)
			}
		}},
		"a role that nobody knows": {"1.root.json", func(m *maker, id string) {
			m.edit["1.root.json"] = func(signed map[string]any) {
				signed["roles"].(map[string]any)["mirrors"] = map[string]any{"keyids": []any{id}, "threshold": 1}
			}
		}},
		"a delegation": {"targets.json", func(m *maker, id string) {
			m.edit["targets"] = func(signed map[string]any) {
				signed["delegations"] = map[string]any{"keys": map[string]any{}, "roles": []any{
					map[string]any{"name": "x", "keyids": []any{id}, "threshold": 1, "paths": []any{"x/*"}, "terminating": false},
				}}
			}
		}},
	}
	for name, id := range map[string]string{
		"63 digits": digits[1:], "65 digits": digits + "0", "upper case": strings.ToUpper(digits), "no digit": digits[1:] + "g",
		"escape": "\x1b[2J" + digits[4:], "path": "../../x", "empty": "",
	} {
		for place, p := range places {
			m := newMaker(t, false)
			p.put(m, id)
			m.write()
			r := m.run(t)
			if found := find(r, verify.CodeKeyID); r.OK() || len(found) == 0 || found[0].File != p.file || strings.Contains(found[0].Text, "\x1b") {
				t.Errorf("%s, %s: %v", place, name, list(r))
			}
		}
	}
	m := newMaker(t, false)
	m.write()
	if r := m.run(t); !r.OK() {
		t.Errorf("nothing altered: %v", list(r))
	}
}

func renamed(k *key, id string) *key {
	k.id = id
	return k
}
