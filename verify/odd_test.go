package verify_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// manyDelegations delegates one path to more roles than clients visit; all are good.
func manyDelegations(m *maker) {
	delegate(m, 32)
	edit := m.edit["targets"]
	m.edit["targets"] = func(signed map[string]any) {
		edit(signed)
		for _, ro := range signed["delegations"].(map[string]any)["roles"].([]any) {
			ro.(map[string]any)["paths"] = []string{"team/*/x"}
		}
	}
}

// delegate makes n delegated roles; the k-th holds nothing.
func delegate(m *maker, n int) {
	k := ed25519Key()
	entries := map[string]any{}
	var roles []any
	for i := range n {
		name := fmt.Sprintf("team-%d", i)
		body := metadata.Targets(m.now.AddDate(4, 0, 0))
		data := m.sign(name, body.Signed, []*key{k})
		m.put(name+".json", data)
		if m.consistent {
			m.put("1."+name+".json", data)
		}
		entries[name+".json"] = toMap(describe(data, 1))
		roles = append(roles, map[string]any{
			"name": name, "keyids": []string{k.id}, "threshold": 1, "terminating": false, "paths": []string{name + "/*"},
		})
	}
	m.edit["targets"] = func(signed map[string]any) {
		signed["delegations"] = map[string]any{"keys": map[string]any{k.id: k.entry}, "roles": roles}
	}
	m.edit["snapshot"] = func(signed map[string]any) {
		for name, entry := range entries {
			signed["meta"].(map[string]any)[name] = entry
		}
	}
}

// small is an RSA key of 1024 bits.
const small = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDmMZxdAnf4lpU+0vARl4N/NoFP
kZ24yol7a5fHjAy38KjxDNIKiswnqU4G9VnG1RGIsSzBTiq+V3oVT3+emRidJpms
VnWzkEUf/OLM3nnUi3Y10kGr3l8n4ZJWBMLe9AhtMr3YEWv8vh3xUc0PnSfXPrlS
5O1xjfrCFewwDzeKUwIDAQAB
-----END PUBLIC KEY-----
`

// TestLinksStayInTheFolder: a link within a web root is followed; one that leads out of it
// is a finding, and nothing of what it leads to is read.
func TestLinksStayInTheFolder(t *testing.T) {
	for name, link := range map[string]func(m *maker, file, outside string) error{
		"absolute": func(m *maker, file, outside string) error { return os.Symlink(outside, file) },
		"relative": func(m *maker, file, outside string) error {
			rel, err := filepath.Rel(filepath.Dir(file), outside)
			if err != nil {
				return err
			}
			return os.Symlink(rel, file)
		},
	} {
		for _, what := range []string{"timestamp.json", "root.json", "targets"} {
			m := newMaker(t, false)
			m.write()
			file, outside := filepath.Join(m.dir, what), filepath.Join(t.TempDir(), "outside")
			if err := os.Rename(file, outside); err != nil {
				t.Fatal(err)
			}
			if err := link(m, file, outside); err != nil {
				t.Fatal(err)
			}
			if r := m.run(t); r.OK() {
				t.Errorf("%s link for %s: nothing is found", name, what)
			}
		}
	}
	m := newMaker(t, false)
	m.write()
	if err := os.Rename(filepath.Join(m.dir, "timestamp.json"), filepath.Join(m.dir, "kept.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("kept.json", filepath.Join(m.dir, "timestamp.json")); err != nil {
		t.Fatal(err)
	}
	if r := m.run(t); !r.OK() {
		t.Errorf("a link within the folder:\n%s", list(r))
	}
}
