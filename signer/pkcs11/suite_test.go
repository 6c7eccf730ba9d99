//go:build cgo

package pkcs11_test

import (
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// timeout is generous: what must return at its deadline sets its own.
const timeout = time.Minute

// parse reads a URI that a test wrote.
func parse(t testing.TB, s string) signer.URI {
	t.Helper()
	u, err := pkcs11.Kind().Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// backend is a new backend on a module, closed with the test.
func backend(t testing.TB, module string) *pkcs11.Backend {
	t.Helper()
	b := pkcs11.New(pkcs11.Options{Module: module, Timeout: timeout})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing the backend: %v", err)
		}
	})
	return b
}

// person knows the PIN of a token.
func person(tok *softhsm.Token) *signertest.UI { return signertest.NewUI(signer.PIN, tok.PIN) }

// generate makes a key on a token, with a backend of its own.
func generate(t testing.TB, tok *softhsm.Token, label string, a signer.Algorithm) signer.Generated {
	t.Helper()
	b := pkcs11.New(pkcs11.Options{Module: tok.Module, Timeout: timeout})
	defer b.Close()
	made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, tok.URI(label))}, signer.GenerateOptions{Algorithm: a}, person(tok))
	if err != nil {
		t.Fatalf("generate %s: %v", a, err)
	}
	return made
}

func TestSuite(t *testing.T) {
	for _, a := range []signer.Algorithm{signer.P256, signer.RSA3072, signer.Ed25519} {
		t.Run(string(a), func(t *testing.T) {
			tok := softhsm.New(t)
			pristine(t, tok.Module)
			first, second := generate(t, tok, "targets", a), generate(t, tok, "timestamp", signer.P256)
			other := twin(t, tok)
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				return signertest.Device{
					Backend: backend(t, tok.Module),
					URI:     parse(t, tok.URI("targets")), Public: first.Public[0],
					Second: parse(t, tok.URI("timestamp")), SecondPublic: second.Public[0],
					Kind: signer.PIN, Secret: tok.PIN, Wrong: "wrong-pin",
					Missing: parse(t, tok.URI("nobody")), Ambiguous: parse(t, tok.URI(other)),
				}
			}})
		})
	}
}

// twin puts two keys of one label on a token, as another tool would.
func twin(t testing.TB, tok *softhsm.Token) string {
	t.Helper()
	for _, id := range []string{"aa01", "aa02"} {
		tool(t, tok, "--login", "--pin", tok.PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", id)
	}
	return "twin"
}
