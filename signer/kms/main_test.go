//go:build unix

package kms_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// TestMain: the test binary is a plug-in too, when it is started as one. What it does is
// said by its reference: BEHAVIOUR:FILE, with the private key in FILE.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "v1" {
		os.Exit(zoo(os.Args[2]))
	}
	if len(os.Args) == 3 && os.Args[1] == "linger" {
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

type asked struct {
	Init struct {
		KeyResourceID string     `json:"keyResourceID"`
		Version       string     `json:"protocolVersion"`
		HashFunc      int        `json:"hashFunc"`
		Deadline      *time.Time `json:"ctxDeadline"`
	} `json:"initOptions"`
	Method string `json:"methodName"`
	Create struct {
		Algorithm string `json:"algorithm"`
	} `json:"createKey"`
}

func say(method, name string, value any) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{method: map[string]any{name: value}})
}

func fail(text string) int {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"errorMessage": text})
	return 1
}

// linger leaves a child behind that keeps stdout open.
func linger(file string) {
	self, _ := os.Executable()
	cmd := exec.Command(self, "linger", filepath.Dir(file))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = cmd.Start()
}

func zoo(args string) int {
	var r asked
	if err := json.Unmarshal([]byte(args), &r); err != nil || r.Init.Version != "v1" || r.Init.HashFunc != 5 || r.Init.Deadline == nil {
		return fail("the arguments are not those of the protocol: " + args)
	}
	does, file, _ := strings.Cut(r.Init.KeyResourceID, ":")
	log(file, r.Method)
	switch r.Method {
	case "defaultAlgorithm":
		say(r.Method, r.Method, "rsa-pkcs1-2048")
		return 0
	case "supportedAlgorithms":
		say(r.Method, r.Method, []string{"rsa-pkcs1-2048", "ec-secp256k1-sha256", "ecdsa-p256-sha256", "rsa-pss-3072-sha256", "ed25519"})
		return 0
	case "createKey":
		return create(file, r.Create.Algorithm)
	}
	if does == "withheld" {
		return fail(fmt.Sprintf("ZOO_KEY=%s ZOO2_TOKEN=%s OTHER_TOKEN=%s FLEET_ROOT_PIN=%s in %s", os.Getenv("ZOO_KEY"), os.Getenv("ZOO2_TOKEN"), os.Getenv("OTHER_TOKEN"), os.Getenv("FLEET_ROOT_PIN"), here()))
	}
	key, err := load(file)
	if err != nil {
		if does == "silent" {
			return fail("something is wrong")
		}
		return fail("not-found: no key in " + file)
	}
	if code, done := misbehave(does, file, r.Method); done {
		return code
	}
	if r.Method == "publicKey" {
		if does == "two-keys" {
			key, _ = load(other(file))
		}
		der, _ := x509.MarshalPKIXPublicKey(key.Public())
		say(r.Method, "publicKeyPEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		return 0
	}
	message, _ := io.ReadAll(os.Stdin)
	sig, err := sign(does, file, key, message)
	if err != nil {
		return fail(err.Error())
	}
	say(r.Method, "signature", sig)
	if does == "twice" {
		say(r.Method, "signature", sig)
	}
	if does == "exit1" {
		return 1
	}
	return 0
}

func here() string { dir, _ := os.Getwd(); return dir }

// misbehave is what comes instead of an answer.
func misbehave(does, file, method string) (int, bool) {
	signing := method == "signMessage"
	switch {
	case does == "hang" && signing:
		linger(file)
		time.Sleep(time.Hour)
	case does == "hang-at-once":
		time.Sleep(time.Hour)
	case does == "lingers":
		linger(file)
	case does == "gigabyte" && signing:
		block := make([]byte, 1<<20)
		for range 1 << 10 {
			if _, err := os.Stdout.Write(block); err != nil {
				return 1, true
			}
		}
		return 0, true
	case does == "error" && signing:
		return fail("AccessDeniedException: \x1b[2Jno\nand no"), true
	case does == "throttled" && signing:
		return fail("throttled: slow down"), true
	case does == "nothing" && signing:
		fmt.Fprintln(os.Stderr, "no route to anywhere")
		return 3, true
	case does == "killed" && signing:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case does == "prose" && signing:
		fmt.Println("Hello!")
		return 0, true
	case does == "empty" && signing:
		fmt.Println("{}")
		return 0, true
	case does == "noisy":
		for i := range 60 {
			fmt.Fprintf(os.Stderr, "line %d \x1b[31m%s\n", i, strings.Repeat("x", 2000))
		}
	}
	return 0, false
}

func sign(does, file string, key crypto.Signer, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	switch does {
	case "wrong-key":
		k, err := load(other(file))
		if err != nil {
			return nil, err
		}
		return wiresig.Sign(k, message)
	case "rs":
		der, err := wiresig.Sign(key, message)
		if err != nil {
			return nil, err
		}
		var v struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &v); err != nil {
			return nil, err
		}
		return append(v.R.FillBytes(make([]byte, 32)), v.S.FillBytes(make([]byte, 32))...), nil
	case "pkcs1":
		return rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, digest[:])
	}
	return wiresig.Sign(key, message)
}

func create(file, algorithm string) int {
	alg := map[string]string{"ecdsa-p256-sha256": "p256", "rsa-pss-3072-sha256": "rsa3072", "ed25519": "ed25519"}[algorithm]
	key, err := makeKey(alg)
	if err == nil {
		err = save(file, key)
	}
	if err != nil {
		return fail(err.Error())
	}
	der, _ := x509.MarshalPKIXPublicKey(key.Public())
	say("createKey", "publicKeyPEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return 0
}

func makeKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	}
	return nil, fmt.Errorf("no such algorithm: %q", alg)
}

func save(file string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, der, 0o600)
}

func load(file string) (crypto.Signer, error) {
	der, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return k.(crypto.Signer), nil
}

// other is where a second key is, beside the first.
func other(file string) string { return file + ".other" }

// log counts the calls.
func log(file, method string) {
	f, err := os.OpenFile(filepath.Join(filepath.Dir(file), "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	fmt.Fprintln(f, method)
}
