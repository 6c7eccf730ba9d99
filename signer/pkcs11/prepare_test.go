//go:build cgo

package pkcs11_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// A token is connected to beforehand: nobody is asked for its PIN, and the key opens on
// that connection, whether it is there already or not. An absent token is named when
// the key is opened, and a backend closes while it is being looked for.
func TestPrepare(t *testing.T) {
	tok := softhsm.New(t)
	generate(t, tok, "timestamp", signer.P256)
	ref := signer.Ref{URI: parse(t, tok.URI("timestamp"))}
	for range 10 {
		b := backend(t, tok.Module)
		var wg sync.WaitGroup
		wg.Go(func() { b.Prepare(t.Context(), ref.URI) })
		signs(t, opened(t, b, ref, person(tok)))
		wg.Wait()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	absent := signer.Ref{URI: parse(t, "pkcs11:token=nowhere;object=timestamp")}
	b := backend(t, tok.Module)
	b.Prepare(t.Context(), absent.URI)
	if _, err := b.Open(t.Context(), absent, signertest.NewUI(signer.PIN, tok.PIN)); !errors.Is(err, signer.ErrNoToken) {
		t.Errorf("error is %v, want ErrNoToken", err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); b.Prepare(t.Context(), absent.URI) }()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	<-gone
}
