package file_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

func uri(t testing.TB, s string) signer.URI {
	t.Helper()
	u, err := file.Kind().Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// cheap is a backend whose encryption costs nothing.
func cheap(dir string) *file.Backend { return file.NewWith(dir, signertest.CheapEncryption{}) }

func generate(t testing.TB, dir, name string, alg signer.Algorithm, n int) []crypto.PublicKey {
	t.Helper()
	return generateWith(t, cheap(dir), name, alg, n)
}

func generateWith(t testing.TB, b *file.Backend, name string, alg signer.Algorithm, n int) []crypto.PublicKey {
	t.Helper()
	g, err := b.Generate(context.Background(), signer.Ref{URI: uri(t, name), Roles: []string{"targets"}},
		signer.GenerateOptions{Algorithm: alg, Count: n}, signertest.NewUI(signer.NewPassphrase, "right horse"))
	if err != nil {
		t.Fatal(err)
	}
	return g.Public
}

func TestSuite(t *testing.T) {
	for _, alg := range []signer.Algorithm{signer.Ed25519, signer.P256, signer.RSA3072} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			made := t.TempDir()
			pub := generate(t, made, "file:keys/targets.json", alg, 1)
			generate(t, made, "file:keys/two.json", signer.Ed25519, 2)
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				dir := t.TempDir()
				copyKeys(t, made, dir)
				return signertest.Device{
					Backend: cheap(dir), URI: uri(t, "file:keys/targets.json"), Public: pub[0],
					Kind: signer.Passphrase, Secret: "right horse", Wrong: "wrong horse",
					Missing: uri(t, "file:keys/absent.json"), Ambiguous: uri(t, "file:keys/two.json"), Hidden: true,
				}
			}})
		})
	}
}

// copyKeys copies the key files of a repository, with their modes.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(to, "keys", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no key file was copied", err)
	}
	for _, f := range append(files, filepath.Join(to, "keys")) {
		mode := os.FileMode(0o600)
		if filepath.Ext(f) == "" {
			mode = 0o700
		}
		if err := os.Chmod(f, mode); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLooseModeIsRefusedBeforeThePassphrase(t *testing.T) {
	for _, tt := range []struct {
		path string
		mode os.FileMode
	}{{"keys/root.json", 0o640}, {"keys/root.json", 0o604}, {"keys", 0o770}} {
		dir := t.TempDir()
		generate(t, dir, "file:keys/root.json", signer.Ed25519, 1)
		if err := os.Chmod(filepath.Join(dir, tt.path), tt.mode); err != nil {
			t.Fatal(err)
		}
		ui := signertest.NewUI(signer.Passphrase, "right horse")
		_, err := cheap(dir).Open(context.Background(), signer.Ref{URI: uri(t, "file:keys/root.json")}, ui)
		var fm *signer.FileModeError
		if !errors.As(err, &fm) || !strings.HasSuffix(fm.Path, tt.path) {
			t.Errorf("%s with mode %o: %v; want a FileModeError that names it", tt.path, tt.mode, err)
		}
		if len(ui.Secrets()) != 0 {
			t.Errorf("%s: a passphrase was asked for", tt.path)
		}
	}
}

// TestReadsEveryKDFAndWritesTheOneOfFleetctl is the one test with the real cost. A file
// of the tests' own cost is refused, so no cheap one can pass for a real one.
func TestReadsEveryKDFAndWritesTheOneOfFleetctl(t *testing.T) {
	dir := t.TempDir()
	generateWith(t, file.New(dir), "file:keys/root.json", signer.Ed25519, 1)
	path := filepath.Join(dir, "keys/root.json")
	orig, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(orig), `"N": 32768`) || !strings.HasSuffix(string(orig), "}\n") {
		t.Errorf("written file is not in fleetctl's form:\n%s", orig)
	}
	var own []struct{}
	if err := json.Unmarshal(decryptData(t, orig), &own); err != nil || len(own) != 1 {
		t.Errorf("the written file holds %d keys, %v; want 1", len(own), err)
	}
	// What later go-tuf wrote, each under the same passphrase.
	for _, name := range []string{"n65536.json", "n131072.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := file.New(dir).Keys(context.Background(), signer.Ref{URI: uri(t, "file:keys/root.json")}, signertest.NewUI(signer.Passphrase, "right horse"))
		if err != nil || len(keys) != 1 || keys[0].Problem != "" {
			t.Errorf("%s: %v, %v; want one key", name, keys, err)
		}
	}
}

func TestTheTestsCostIsRefused(t *testing.T) {
	dir := t.TempDir()
	pub := generate(t, dir, "file:keys/root.json", signer.Ed25519, 1)
	s, err := file.New(dir).Open(context.Background(), signer.Ref{URI: uri(t, "file:keys/root.json"), Pinned: pub[0]}, signertest.NewUI(signer.Passphrase, "right horse"))
	if err != nil {
		t.Fatal(err)
	}
	var bad *file.FormatError
	if _, err := s.Sign(context.Background(), []byte("m")); !errors.As(err, &bad) {
		t.Errorf("a file with N=2: %v; want a FormatError", err)
	}
}

func decryptData(t *testing.T, f []byte) []byte {
	t.Helper()
	i := strings.Index(string(f), `"data": `)
	plain, err := encrypted.Decrypt([]byte(strings.TrimSuffix(strings.TrimSpace(string(f[i+8:])), "}")), []byte("right horse"))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestPasswdAndRetire(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	pubs := generate(t, dir, "file:keys/root.json", signer.Ed25519, 2)
	ref := signer.Ref{URI: uri(t, "file:keys/root.json"), Roles: []string{"root"}}
	b := cheap(dir)
	ui := signertest.NewUI(signer.Passphrase, "right horse")
	if _, err := b.Keys(ctx, ref, ui); err != nil {
		t.Fatal(err)
	}
	n, err := b.Retire(ref.URI, pubs[:1])
	if err != nil || n != 1 {
		t.Fatalf("retired %d keys, %v; want 1", n, err)
	}
	kept, err := b.Keys(ctx, ref, ui)
	if err != nil || len(kept) != 1 || !signer.SamePublic(kept[0].Public, pubs[0]) {
		t.Fatalf("after retiring: %v, %v", kept, err)
	}
	old, err := cheap(dir).Keys(ctx, signer.Ref{URI: uri(t, "file:keys/retired/root.1.json")}, ui)
	if err != nil || len(old) != 1 || !signer.SamePublic(old[0].Public, pubs[1]) {
		t.Fatalf("the retired key is not kept: %v, %v", old, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "keys/retired/root.1.json")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("retired file: %v, %v", st, err)
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(`{"encrypted":true,"data":{"kdf":{"name":"scrypt","params":{"N":32768,"r":8,"p":1},"salt":"AA=="},"cipher":{"name":"nacl/secretbox","nonce":"AA=="},"ciphertext":"AA=="}}`))
	f.Add([]byte(`{"encrypted":false,"data":[]}`))
	f.Add([]byte(`{"encrypted":true,"data":{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) { file.ParseForFuzz(data) })
}
