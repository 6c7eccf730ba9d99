//go:build cgo && linux

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// cmdForge is a thief with a key file: it gives a timestamp.json another version and
// signs it with the key that signed it before.
func cmdForge(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "forge KEYFILE VERSION TIMESTAMP")
	version, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	data, err := os.ReadFile(ts.MkAbs(args[2]))
	ts.Check(err)
	data, err = forgeTimestamp(ts.MkAbs(args[0]), version, data)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o644))
}

func forgeTimestamp(keyFile string, version int64, data []byte) ([]byte, error) {
	var f struct {
		Signatures []map[string]string `json:"signatures"`
		Signed     map[string]any      `json:"signed"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	// The length and hashes of the snapshot stay as they are, in whole numbers.
	var whole struct {
		Signed struct {
			Meta map[string]struct {
				Version int64             `json:"version"`
				Length  int64             `json:"length"`
				Hashes  map[string]string `json:"hashes"`
			} `json:"meta"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	f.Signed["version"], f.Signed["meta"] = version, whole.Signed.Meta
	sig, err := signatureOver(keyFile, meta.RoleTimestamp, f.Signed)
	if err != nil {
		return nil, err
	}
	f.Signatures[0]["sig"] = sig
	return json.Marshal(f)
}

// signatureOver signs with the key in a file what nobody of ours would.
func signatureOver(keyFile, role string, signed any) (string, error) {
	message, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return "", err
	}
	key, err := cheapFiles().Open(context.Background(), signer.Ref{URI: signer.FileURI(keyFile), Roles: []string{role}}, rolesPassphrase{role})
	if err != nil {
		return "", err
	}
	defer func() { _ = key.Close() }()
	sig, err := key.Sign(context.Background(), message)
	return hex.EncodeToString(sig), err
}
