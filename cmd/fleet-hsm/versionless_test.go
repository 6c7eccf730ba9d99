//go:build cgo && linux

package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdVersionless makes a flat repository one whose targets carry no version, as another
// tool's add leaves them: targets, snapshot and timestamp are signed anew without it.
func cmdVersionless(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "versionless DIR")
	dir := ts.MkAbs(args[0])
	below := anew(ts, dir, "targets", func(signed map[string]any) {
		for _, target := range signed["targets"].(map[string]any) {
			delete(target.(map[string]any), "custom")
		}
	})
	below = anew(ts, dir, "snapshot", func(signed map[string]any) {
		signed["meta"].(map[string]any)["targets.json"] = below
	})
	anew(ts, dir, "timestamp", func(signed map[string]any) {
		signed["meta"].(map[string]any)["snapshot.json"] = below
	})
}

// cmdKeyfiles makes key files 1.json, 2.json, ... in a folder.
func cmdKeyfiles(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "keyfiles N DIR ROLE")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := range n {
		ts.Check(makeKeyFile("ed25519", filepath.Join(ts.MkAbs(args[1]), strconv.Itoa(i+1)+".json"), args[2]))
	}
}

// anew changes a role's file, signs it at the next version, and gives what the role above
// says of it.
func anew(ts *testscript.TestScript, dir, role string, change func(signed map[string]any)) map[string]any {
	file := filepath.Join(dir, "repository", role+".json")
	data, err := os.ReadFile(file)
	ts.Check(err)
	var f struct {
		Signatures []map[string]string `json:"signatures"`
		Signed     map[string]any      `json:"signed"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	ts.Check(dec.Decode(&f))
	change(f.Signed)
	version, err := f.Signed["version"].(json.Number).Int64()
	ts.Check(err)
	f.Signed["version"] = version + 1
	f.Signatures[0]["sig"], err = signatureOver(filepath.Join(dir, "keys", role+".json"), role, f.Signed)
	ts.Check(err)
	data, err = json.Marshal(f)
	ts.Check(err)
	ts.Check(os.WriteFile(file, data, 0o644))
	sum := sha512.Sum512(data)
	return map[string]any{"version": version + 1, "length": len(data), "hashes": map[string]string{"sha512": hex.EncodeToString(sum[:])}}
}
