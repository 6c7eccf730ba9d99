package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// kmsCase measures what a timestamp with a key in a KMS takes besides the plug-in's own
// two calls. The plug-in is this program, with its key in a file: no network is measured.
func (b *bench) kmsCase() error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	plugins := filepath.Join(dir, "plugins")
	program := filepath.Join(plugins, "sigstore-kms-bench")
	key := filepath.Join(dir, "key.der")
	config := fmt.Sprintf("kms: {plugins: %q}\n", plugins)
	if err := os.Mkdir(plugins, 0o755); err != nil {
		return err
	}
	self, err := os.ReadFile(b.self)
	if err == nil {
		err = os.WriteFile(program, self, 0o755)
	}
	if err == nil {
		err = newKMSKey(key)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "fleet-hsm.yaml"), []byte(config), 0o644)
	}
	if err == nil {
		_, err = measure(b.onOurs(dir, "init", "--timestamp-key", "kms:bench;ref="+key))
	}
	if err != nil {
		return err
	}
	call := func(method string) (sample, error) {
		var r kmsRequest
		r.Method, r.Init.Ref = method, key
		args, err := json.Marshal(r)
		if err != nil {
			return sample{}, err
		}
		return measure(command{path: program, args: []string{"v1", string(args)}})
	}
	sides, err := inTurn(2*b.pairs(false),
		func() (sample, error) { return call("publicKey") }, func() (sample, error) { return call("signMessage") },
		func() (sample, error) { return measure(b.onOurs(dir, "timestamp")) })
	if err != nil {
		return err
	}
	b.add(row{"`timestamp`, key in a KMS", nil, sides[2]})
	share := sides[2].wall() - sides[0].wall() - sides[1].wall()
	b.aim(share < 15*time.Millisecond, "`timestamp` with a key in a KMS within 15 ms of the plug-in's own calls", "%.1f ms (%.1f ms of %.1f ms are the plug-in's)",
		float64(share)/1e6, float64(sides[0].wall()+sides[1].wall())/1e6, float64(sides[2].wall())/1e6)
	return nil
}

type kmsRequest struct {
	Init struct {
		Ref string `json:"keyResourceID"`
	} `json:"initOptions"`
	Method string `json:"methodName"`
}

func newKMSKey(file string) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return err
	}
	return os.WriteFile(file, der, 0o600)
}

// kmsPlugin answers one call of the plug-in protocol (docs/kms.md).
func kmsPlugin(args string) error {
	var r kmsRequest
	if err := json.Unmarshal([]byte(args), &r); err != nil {
		return err
	}
	der, err := os.ReadFile(r.Init.Ref)
	if err != nil {
		return err
	}
	k, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return err
	}
	if r.Method == "publicKey" {
		pub, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			return err
		}
		return kmsAnswer(r.Method, "publicKeyPEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
	}
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(message)
	sig, err := ecdsa.SignASN1(rand.Reader, k, digest[:])
	if err != nil {
		return err
	}
	return kmsAnswer(r.Method, "signature", sig)
}

func kmsAnswer(method, name string, value []byte) error {
	return json.NewEncoder(os.Stdout).Encode(map[string]any{method: map[string]any{name: value}})
}
