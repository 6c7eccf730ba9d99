//go:build linux

package kms_test

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest/localkms"
)

// sigstoreAgrees: the protocol's own client, which cosign has, uses our plug-in.
func sigstoreAgrees(t *testing.T, plugins string, pub crypto.PublicKey) {
	t.Helper()
	t.Setenv("PATH", plugins)
	sv, err := cliplugin.LoadSignerVerifier(t.Context(), "aws://alias/p256", crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	have, err := sv.PublicKey()
	if err != nil || !signer.SamePublic(pub, have) {
		t.Errorf("sigstore reads another public key: %v, %v", have, err)
	}
	sig, err := sv.SignMessage(strings.NewReader("m"))
	if err != nil || wiresig.Verify(pub, []byte("m"), sig) != nil {
		t.Errorf("sigstore's signature: %x, %v", sig, err)
	}
	if err := sv.VerifySignature(bytes.NewReader(sig), strings.NewReader("m")); err != nil {
		t.Error(err)
	}
	if err := sv.VerifySignature(bytes.NewReader(sig), strings.NewReader("another")); err == nil {
		t.Error("it verifies over another message")
	}
}

// TestAWS is the suite over a real server and the plug-in of this project, then what the
// service may say.
func TestAWS(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Log("not run: only root can give the server a network of its own")
		return
	}
	srv := localkms.Start(t)
	for _, kv := range srv.Env() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	backend := func() *kms.Backend { return kms.New(kms.Options{Folder: srv.Plugins, Timeout: time.Minute}) }
	made := map[signer.Algorithm]crypto.PublicKey{}
	for _, alg := range []signer.Algorithm{signer.P256, signer.RSA2048} {
		g, err := backend().Generate(t.Context(), signer.Ref{URI: uri(t, "kms:aws;ref=alias/"+string(alg))}, signer.GenerateOptions{Algorithm: alg}, nil)
		if err != nil {
			t.Fatal(err)
		}
		made[alg] = g.Public[0]
		s, err := backend().Open(t.Context(), signer.Ref{URI: g.URI, Pinned: g.Public[0]}, nil)
		if err == nil {
			_, err = s.Sign(t.Context(), []byte("m"))
		}
		if err != nil {
			t.Error(err)
		}
	}
	ref := signer.Ref{URI: uri(t, "aws:///alias/p256"), Pinned: made[signer.P256]}
	signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
		return signertest.Device{
			Backend: backend(), URI: uri(t, "kms:aws;ref=alias/p256"), Public: ref.Pinned, Missing: uri(t, "kms:aws;ref=alias/absent"),
		}
	}})
	if _, err := backend().Generate(t.Context(), ref, signer.GenerateOptions{}, nil); !errors.Is(err, signer.ErrKeyExists) {
		t.Errorf("a key that is there: %v", err)
	}
	for code, want := range map[string]kms.Class{
		"ThrottlingException": kms.Throttled, "AccessDeniedException": kms.Denied, "ExpiredTokenException": kms.Expired,
		"DisabledException": kms.Disabled, "KMSInvalidStateException": kms.Disabled, "hang up": kms.Unreachable, "InvalidKeyUsageException": kms.Unclassified,
	} {
		b := backend()
		s, err := b.Open(t.Context(), ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		srv.Answer(func(operation string) string {
			if operation == "Sign" {
				return code
			}
			return ""
		})
		_, err = s.Sign(t.Context(), []byte("m"))
		srv.Answer(nil)
		var e *kms.RefusedError
		if !errors.As(err, &e) || e.Class != want {
			t.Errorf("%s: %v; want %q", code, err, want)
		}
	}
	sigstoreAgrees(t, srv.Plugins, ref.Pinned)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	var e *kms.RefusedError
	if _, err := backend().Open(t.Context(), ref, nil); !errors.As(err, &e) || e.Class != kms.Expired {
		t.Errorf("without credentials: %v", err)
	}
}
