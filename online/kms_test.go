//go:build linux

package online

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest/localkms"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// latest is the version of the published timestamp, 0 if it cannot be read.
func latest(ctx context.Context, st store.Store) int64 {
	o, err := store.Get(ctx, st, "timestamp.json", tuf.MaxTimestamp)
	if err != nil {
		return 0
	}
	f, err := parse(o.Data, roleTimestamp)
	if err != nil {
		return 0
	}
	return f.Version
}

// TestKMS sets two processes on one bucket with one key in a KMS that throttles a request
// in twenty, denies them all for a while, and is restarted. Versions go up by one, nothing
// expires, and nobody has to do anything.
func TestKMS(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Log("not run: only root can give the server a network of its own")
		return
	}
	const instances = 2
	wanted, denied := 12, 3*time.Second
	in := instance{Expires: time.Minute, Interval: 200 * time.Millisecond}
	if os.Getenv("FLEET_HSM_LONG") != "" {
		wanted, denied, in.Expires = 2000, time.Minute, 4*time.Minute
	}
	in.RenewBefore = in.Expires - 100*time.Millisecond
	bucket := s3test.Start(t)
	srv := localkms.Start(t)
	for _, kv := range append(srv.Env(), s3test.Env()...) { // it is the bucket that looks at the key
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	in.Plugins, in.KeyURI = srv.Plugins, "kms:aws;ref=alias/timestamp"
	uri, err := kms.Kind().Parse(in.KeyURI)
	if err != nil {
		t.Fatal(err)
	}
	made, err := kms.New(kms.Options{Folder: in.Plugins}).Generate(t.Context(), signer.Ref{URI: uri}, signer.GenerateOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := repotest.New(t, true)
	r.Elsewhere["timestamp"] = made.Public
	r.Expires["timestamp"] = time.Now().Add(in.Expires)
	r.Root()
	r.Commit()
	in.URL = bucket.URL("fleet")
	st := open(t, in.URL)
	p, err := store.MakePlan(t.Context(), st, store.Options{Dir: r.Dir})
	if err == nil {
		_, err = p.Publish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	newest, err := parseRoot(r.Read("root.json"))
	if err != nil {
		t.Fatal(err)
	}
	in.Root = filepath.Join(r.Dir, "1.root.json")
	arg, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var signed, throttled, refused atomic.Int64
	var deny atomic.Bool
	srv.Answer(func(operation string) string {
		switch {
		case deny.Load():
			refused.Add(1)
			return "AccessDeniedException"
		case rand.IntN(20) == 0:
			throttled.Add(1)
			return "ThrottlingException"
		}
		if operation == "Sign" {
			signed.Add(1)
		}
		return ""
	})
	sw := &swarm{t: t, arg: string(arg), cmds: make([]*exec.Cmd, instances)}
	t.Cleanup(sw.stop)
	for i := range instances {
		sw.logs = append(sw.logs, &bytes.Buffer{})
		sw.start(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	go func() {
		defer cancel()
		until := func(n int) {
			for latest(ctx, st) < int64(n) && ctx.Err() == nil {
				time.Sleep(100 * time.Millisecond)
			}
		}
		until(wanted / 3)
		deny.Store(true)
		time.Sleep(denied)
		deny.Store(false)
		until(2 * wanted / 3)
		srv.Restart(t, time.Second)
		until(wanted + 2) // the watcher may be one behind
	}()
	c, err := watch(ctx, st, newest.roles[roleTimestamp])
	sw.stop()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("KMS: %d versions, %d signatures, %d requests throttled, %d denied in %s, one restart: %d versions jumped, %d went back, %d doubled, %d seen expired, %d did not verify\n",
		c.versions, signed.Load(), throttled.Load(), refused.Load(), denied, c.jumped, c.wentBack, c.doubled, c.expired, c.notVerified)
	if c.jumped+c.wentBack+c.doubled+c.expired+c.notVerified > 0 || c.versions < wanted || refused.Load() == 0 {
		for i, l := range sw.logs {
			t.Logf("instance %d:\n%s", i, tail(l.String(), 3000))
		}
		t.Error("see the counts above")
	}
}
