package online

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// instance is what a child process is told to do.
type instance struct {
	URL, Root, Module, KeyURI, PINFile string
	// Plugins is the folder of plug-ins, for a key in a KMS instead of one on a token.
	Plugins                        string
	Expires, RenewBefore, Interval time.Duration
}

// hsmKey is a KeySource on a token or in a KMS.
type hsmKey struct {
	backend signer.Backend
	uri     signer.URI
	ui      signer.UI
}

func (h hsmKey) Name() string { return h.uri.String() }

func (h hsmKey) Open(ctx context.Context, _ []crypto.PublicKey) (Key, error) {
	return h.backend.Open(ctx, signer.Ref{URI: h.uri, Roles: []string{"timestamp"}}, h.ui)
}

// pinFile answers every question for a PIN with the content of a file.
type pinFile string

func (p pinFile) Secret(context.Context, signer.SecretRequest) (signer.Secret, error) {
	data, err := os.ReadFile(string(p))
	return signer.NewSecret(bytes.TrimSpace(data)), err
}

func (pinFile) Touch(context.Context, signer.TouchRequest) func() { return func() {} }

func (pinFile) Insert(context.Context, signer.InsertRequest) error { return signer.ErrNoTerminal }

// runInstance is the child: one `online` process until it is stopped or killed.
func runInstance(arg string) error {
	var in instance
	if err := json.Unmarshal([]byte(arg), &in); err != nil {
		return err
	}
	loc, err := store.Parse(in.URL)
	if err != nil {
		return err
	}
	st, err := store.Open(loc, store.OpenOptions{Retries: 2})
	if err != nil {
		return err
	}
	root, err := os.ReadFile(in.Root)
	if err != nil {
		return err
	}
	uri, err := signer.Kinds{pkcs11.Kind(), kms.Kind()}.Parse(in.KeyURI)
	if err != nil {
		return err
	}
	key := hsmKey{uri: uri, ui: pinFile(in.PINFile), backend: pkcs11.New(pkcs11.Options{Module: in.Module})}
	if in.Plugins != "" {
		key.backend = kms.New(kms.Options{Folder: in.Plugins})
	}
	s, err := New(Config{
		Store: store.Plain{Store: st}, Root: root, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Keys:    []KeySource{key},
		Expires: in.Expires, RenewBefore: in.RenewBefore, Interval: in.Interval, StoreTimeout: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return errors.Join(s.Run(ctx), s.Close())
}

// swarm keeps several instances running and kills them.
type swarm struct {
	t    *testing.T
	arg  string
	mu   sync.Mutex
	cmds []*exec.Cmd
	logs []*bytes.Buffer
	dead bool
}

func (s *swarm) start(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ONLINE_TEST_INSTANCE="+s.arg)
	cmd.Stderr = s.logs[i]
	if err := cmd.Start(); err != nil {
		s.t.Error(err)
		return
	}
	s.cmds[i] = cmd
}

func (s *swarm) kill(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cmds[i]; c != nil {
		_ = c.Process.Kill()
		_ = c.Wait()
		s.cmds[i] = nil
	}
}

func (s *swarm) stop() {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	for i := range s.cmds {
		s.kill(i)
	}
}

// counts is what the race prints.
type counts struct {
	versions, jumped     int
	wentBack, doubled    int
	expired, notVerified int
}

// watch reads the store in a tight loop, as agents do.
func watch(ctx context.Context, st store.Store, role roleKeys) (counts, error) {
	var c counts
	seen := map[int64][]byte{}
	high := int64(0)
	for ctx.Err() == nil {
		o, err := store.Get(ctx, st, "timestamp.json", tuf.MaxTimestamp)
		at := time.Now()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return c, err
		}
		f, err := parse(o.Data, roleTimestamp)
		if err != nil || role.verify(f) != nil {
			c.notVerified++
			continue
		}
		if old := seen[f.Version]; old != nil && !bytes.Equal(old, o.Data) {
			c.doubled++
		}
		if f.Version < high {
			c.wentBack++
		}
		if high > 0 && f.Version > high+1 {
			c.jumped++
		}
		if at.After(f.Expires) {
			c.expired++
		}
		seen[f.Version], high = o.Data, max(high, f.Version)
		c.versions = len(seen)
		time.Sleep(5 * time.Millisecond)
	}
	return c, nil
}

// TestRace sets five processes on one bucket, each with its own session on one
// SoftHSM token, kills them at random and takes the token away and back.
func TestRace(t *testing.T) {
	const instances = 5
	length, in := 20*time.Second, instance{Expires: 12 * time.Second, RenewBefore: 10 * time.Second, Interval: time.Second}
	if os.Getenv("FLEET_HSM_LONG") != "" {
		length, in = 10*time.Minute, instance{Expires: 10 * time.Second, RenewBefore: 9 * time.Second, Interval: time.Second}
	}
	tok := softhsm.New(t)
	in.Module, in.PINFile = tok.Module, tok.PINFile()
	backend := pkcs11.New(pkcs11.Options{Module: tok.Module})
	uri, err := pkcs11.Kind().Parse(tok.URI("timestamp"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := backend.Generate(t.Context(), signer.Ref{URI: uri}, signer.GenerateOptions{Algorithm: signer.P256}, pinFile(in.PINFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := backend.Close(); err != nil {
		t.Fatal(err)
	}
	in.KeyURI = made.URI.String()

	r := repotest.New(t, true)
	r.Elsewhere["timestamp"] = made.Public
	r.Expires["timestamp"] = time.Now().Add(in.Expires)
	r.Root()
	r.Commit()
	in.URL = s3test.Start(t).URL("fleet")
	st := open(t, in.URL)
	p, err := store.MakePlan(t.Context(), st, store.Options{Dir: r.Dir})
	if err == nil {
		_, err = p.Publish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	in.Root = filepath.Join(r.Dir, "1.root.json")
	arg, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	sw := &swarm{t: t, arg: string(arg), cmds: make([]*exec.Cmd, instances)}
	t.Cleanup(sw.stop)
	for i := range instances {
		sw.logs = append(sw.logs, &bytes.Buffer{})
		sw.start(i)
	}
	newest, err := parseRoot(r.Read("root.json"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var away, kills, mended int
	chaos := make(chan struct{})
	whole := readToken(t, tok.Store)
	go func() {
		defer close(chaos)
		away, kills, mended = torment(ctx, t, sw, tok.Store, whole)
	}()
	c, err := watch(ctx, st, newest.roles[roleTimestamp])
	<-chaos
	sw.stop()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("race: %d kills, token away %d times (SoftHSM's files mended %d times), %d versions: %d went back, %d doubled, %d seen expired, %d did not verify\n",
		kills, away, mended, c.versions, c.wentBack, c.doubled, c.expired, c.notVerified)
	if c.wentBack+c.doubled+c.expired+c.notVerified > 0 || c.versions < int(length/in.Expires) {
		for i, l := range sw.logs {
			t.Logf("instance %d:\n%s", i, tail(l.String(), 3000))
		}
		t.Error("see the counts above")
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// readToken keeps the token as it was made.
func readToken(t *testing.T, tokens string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(tokens, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// mend puts files of the token back that a killed process has cut off. SoftHSM writes
// token.object in place at each login, so a kill at that moment takes the token from
// everybody; an HSM is not hurt by the death of a client.
func mend(t *testing.T, whole map[string][]byte) bool {
	cut := false
	for path, data := range whole {
		if st, err := os.Stat(path); err == nil && st.Size() >= int64(len(data)) {
			continue
		}
		// Another process may be writing it at this moment, and is done a moment later.
		time.Sleep(20 * time.Millisecond)
		if st, err := os.Stat(path); err == nil && st.Size() >= int64(len(data)) {
			continue
		}
		cut = true
		if err := atomicfile.Write(path, data, 0o600); err != nil {
			t.Error(err)
		}
	}
	return cut
}

// torment kills instances at random and starts them again, and pulls the token.
func torment(ctx context.Context, t *testing.T, sw *swarm, tokens string, whole map[string][]byte) (away, kills, mended int) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rand.Int64N(int64(1500 * time.Millisecond))))
		if mend(t, whole) {
			mended++
		}
		if rand.IntN(3) == 0 {
			if err := os.Rename(tokens, tokens+".away"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			time.Sleep(time.Duration(rand.Int64N(int64(time.Second))))
			if err := os.Rename(tokens+".away", tokens); err != nil {
				t.Error(err)
			}
			away++
			continue
		}
		i := rand.IntN(len(sw.cmds))
		sw.kill(i)
		kills++
		if mend(t, whole) {
			mended++
		}
		sw.start(i)
	}
	return away, kills, mended
}
