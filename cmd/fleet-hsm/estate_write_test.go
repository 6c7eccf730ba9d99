//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
)

// envelope signs a document with every key there is: whoever counts signatures takes
// those of the role. Signatures that stand there already stay first.
func (e *estate) envelope(t testing.TB, name string) []byte {
	t.Helper()
	doc := e.tree[name].(map[string]any)
	message, err := cjson.EncodeCanonical(doc["signed"])
	check(t, err)
	role := strings.TrimPrefix(name, "staged_")
	var sigs []any
	for _, s := range doc["signatures"].([]any) {
		if m, ok := s.(map[string]any); ok && !e.own(m) {
			sigs = append(sigs, s)
		}
	}
	root, _ := e.tree["root"].(map[string]any)["signed"].(map[string]any)["roles"].(map[string]any)[role].(map[string]any)
	ids, _ := root["keyids"].([]any)
	for _, id := range ids {
		key, ok := e.keys[fmt.Sprint(id)]
		if !ok || strings.HasPrefix(name, "staged_") {
			continue
		}
		sig, err := wiresig.Sign(key, message)
		check(t, err)
		sigs = append(sigs, map[string]any{"keyid": id, "sig": hex.EncodeToString(sig)})
	}
	return encoded(t, map[string]any{"signed": doc["signed"], "signatures": sigs})
}

// own reports whether a signature is as the estate makes them.
func (e *estate) own(sig map[string]any) bool {
	id, _ := sig["keyid"].(string)
	s, _ := sig["sig"].(string)
	_, ok := e.keys[id]
	return ok && len(s) == 2*ed25519.SignatureSize && strings.Trim(s, "0123456789abcdef") == ""
}

// encoded writes JSON in which bytes that are no UTF-8 stand as they are.
func encoded(t testing.TB, v any) []byte {
	t.Helper()
	const stand = "\ue0fd" // for the byte 0xff, see attacks
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	check(t, enc.Encode(replaced(v, stand)))
	return bytes.ReplaceAll(bytes.TrimSpace(b.Bytes()), []byte(stand), []byte{0xff})
}

func replaced(v any, stand string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\xff", stand)
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, inner := range v {
			m[strings.ReplaceAll(name, "\xff", stand)] = replaced(inner, stand)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, inner := range v {
			l[i] = replaced(inner, stand)
		}
		return l
	}
	return v
}

// web gives the files of the web root. What names a file below it by length and hash
// is brought up to date, unless it is what was altered.
func (e *estate) web(t testing.TB, altered string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"root.json": e.envelope(t, "root"), "1.root.json": e.envelope(t, "root")}
	below := map[string]string{"snapshot": "targets", "timestamp": "snapshot"}
	for _, name := range []string{"targets", "snapshot", "timestamp"} {
		if b := below[name]; b != "" && altered != name {
			e.name(name, b+".json", files[b+".json"])
		}
		files[name+".json"] = e.envelope(t, name)
		if name != "timestamp" {
			files["1."+name+".json"] = files[name+".json"]
		}
	}
	return files
}

// name puts the length and hashes of a file where a document above it names it.
func (e *estate) name(doc, file string, data []byte) {
	meta, _ := e.tree[doc].(map[string]any)["signed"].(map[string]any)["meta"].(map[string]any)
	entry, ok := meta[file].(map[string]any)
	if !ok {
		return
	}
	if _, ok := entry["length"]; ok {
		entry["length"] = json.Number(fmt.Sprint(len(data)))
	}
	if hashes, ok := entry["hashes"].(map[string]any); ok {
		s256, s512 := sha256.Sum256(data), sha512.Sum512(data)
		for name, sum := range map[string][]byte{"sha256": s256[:], "sha512": s512[:]} {
			if _, ok := hashes[name]; ok {
				hashes[name] = hex.EncodeToString(sum)
			}
		}
	}
}

// write puts the estate into a working folder.
func (e *estate) write(t testing.TB, dir, altered string) {
	t.Helper()
	e.writeWeb(t, filepath.Join(dir, "repository"), altered)
	change := map[string]any{
		"schema": 1, "base_root": 1, "base_targets": 1, "created": time.Now().UTC().Format(time.RFC3339), "intents": e.tree["intents"],
		"root": json.RawMessage("1"), "targets": json.RawMessage("2"),
	}
	data := encoded(t, change)
	data = bytes.Replace(data, []byte(`"root":1`), append([]byte(`"root":`), e.envelope(t, "staged_root")...), 1)
	data = bytes.Replace(data, []byte(`"targets":2`), append([]byte(`"targets":`), e.envelope(t, "staged_targets")...), 1)
	check(t, os.MkdirAll(filepath.Join(dir, "pending"), 0o700))
	check(t, os.WriteFile(filepath.Join(dir, "pending", "change.json"), data, 0o600))
}

func (e *estate) writeWeb(t testing.TB, dir, altered string) {
	t.Helper()
	check(t, os.MkdirAll(dir, 0o755))
	for name, data := range e.web(t, altered) {
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
}

// request gives the estate's change as a request that describes itself rightly.
func (e *estate) request(t testing.TB) []byte {
	t.Helper()
	created := time.Now().UTC().Truncate(time.Second)
	x := bundle.Bundle{
		Roots: []json.RawMessage{e.envelope(t, "root")}, Published: e.envelope(t, "targets"),
		Root: e.envelope(t, "staged_root"), Targets: e.envelope(t, "staged_targets"), Created: created,
	}
	return requestOf(x, described(x), encoded(t, e.tree["intents"]), encoded(t, e.tree["hints"]))
}

// requestOf writes a request byte by byte: what others wrote stays as it is.
func requestOf(x bundle.Bundle, description, intents, hints []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"fleet_hsm_request":1,"created":%q,"roots":[`, x.Created.Format(time.RFC3339))
	b.Write(bytes.Join(raws(x.Roots), []byte(",")))
	fmt.Fprintf(&b, `],"published_targets":%s,"root":%s,"targets":%s,"intents":%s,"keys":%s,"description":%s}`,
		x.Published, x.Root, x.Targets, intents, hints, description)
	return b.Bytes()
}

func raws(list []json.RawMessage) [][]byte {
	var out [][]byte
	for _, r := range list {
		out = append(out, r)
	}
	return out
}

// described is what a request has to say of itself; [] for one that cannot be.
func described(x bundle.Bundle) []byte {
	im, err := bundle.Import("test", x, time.Now())
	if err != nil {
		return []byte("[]")
	}
	review, err := diff.New(im.Published, im.Change, nil, time.Time{})
	if err != nil {
		return []byte("[]")
	}
	var roles []map[string]any
	data, err := json.Marshal(review.Roles)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err != nil || dec.Decode(&roles) != nil {
		return []byte("[]")
	}
	for _, r := range roles {
		for _, member := range []string{"signatures", "warnings", "stays", "kept"} {
			delete(r, member)
		}
	}
	out, err := json.Marshal(roles)
	if err != nil {
		return []byte("[]")
	}
	return out
}

// inProcess runs the tool in this process, without a terminal: for tables of thousands
// of runs.
func inProcess(args ...string) result {
	var out, errOut bytes.Buffer
	a := newApp(&out, &errOut)
	defer a.close()
	cmd := a.command()
	cmd.SetArgs(append(args, "--no-input"))
	ctx := context.Background()
	code := a.exit(ctx, cmd.ExecuteContext(ctx))
	return result{code, out.String(), errOut.String()}
}

// hash is the SHA-256 of what a document's signatures are over.
func (e *estate) hash(t testing.TB, name string) string {
	t.Helper()
	message, err := cjson.EncodeCanonical(e.tree[name].(map[string]any)["signed"])
	check(t, err)
	sum := sha256.Sum256(message)
	return hex.EncodeToString(sum[:])
}
