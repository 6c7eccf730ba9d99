//go:build cgo && linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// waiting is how long a test waits for a process to do what it must do.
const waiting = 90 * time.Second

// TestOnline runs testdata/online twice: on a folder, and on a bucket of a real S3
// server. There are the commands of TestScript and TestDaily, and besides
//
//	$STORE, $SERVED       the store's URL, and the folder in which its files lie
//	serve VAR DIR         serve DIR; its URL is in $VAR
//	snapshotis N          wait until the store's timestamp names snapshot N
//	endpoint LOG PATH     GET from the listener of `online`, whose log is in a file
func TestOnline(t *testing.T) {
	t.Parallel()
	srv := s3test.Start(t)
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		runOnlineScripts(t, func(env *testscript.Env) (url, served string) {
			dir := filepath.Join(env.WorkDir, "srv")
			return "file://" + dir, dir
		})
	})
	t.Run("bucket", func(t *testing.T) {
		t.Parallel()
		runOnlineScripts(t, func(env *testscript.Env) (url, served string) {
			env.Vars = append(env.Vars, s3test.Env()...)
			prefix := filepath.Base(env.WorkDir)
			return srv.URL(prefix), filepath.Join(srv.Dir, s3test.Bucket, prefix)
		})
	})
}

func runOnlineScripts(t *testing.T, place func(*testscript.Env) (url, served string)) {
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	cmds := scriptCommands()
	for name, f := range map[string]func(*testscript.TestScript, []string){
		"softhsm": cmdSoftHSM, "serve": cmdServe, "snapshotis": cmdSnapshotIs, "endpoint": cmdEndpoint, "forge": cmdForge,
	} {
		cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(ts, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "online"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Values[locksKey{}] = map[string]*os.File{}
			url, served := place(env)
			env.Setenv("STORE", url)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "remembered"))
			env.Setenv("SERVED", served)
			return nil
		},
		Cmds: cmds,
	})
}

func cmdServe(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "serve VAR DIR")
	srv := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[1]))))
	ts.Defer(srv.Close)
	ts.Setenv(args[0], srv.URL)
}

// cmdSnapshotIs waits for the timestamp that names a snapshot.
func cmdSnapshotIs(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "snapshotis N")
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	file := filepath.Join(ts.Getenv("SERVED"), "timestamp.json")
	ts.Check(until(func() error {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var ts struct {
			Signed struct {
				Meta map[string]struct{ Version int64 }
			}
		}
		if err := json.Unmarshal(data, &ts); err != nil {
			return err
		}
		if got := ts.Signed.Meta["snapshot.json"].Version; got != want {
			return fmt.Errorf("the timestamp names snapshot v%d, not v%d", got, want)
		}
		return nil
	}))
}

// until tries until it works.
func until(try func() error) error {
	for end := time.Now().Add(waiting); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func cmdEndpoint(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "endpoint LOG PATH")
	var body []byte
	ts.Check(until(func() error {
		addr := listening([]byte(ts.ReadFile(args[0])))
		if addr == "" {
			return fmt.Errorf("%s names no listener", args[0])
		}
		var err error
		body, err = fetch("http://" + addr + args[1])
		return err
	}))
	_, _ = ts.Stdout().Write(body)
}

// listening finds the listener's address in the log of `online`.
func listening(log []byte) string {
	for line := range bytes.Lines(log) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "listening" {
			return entry.Address
		}
	}
	return ""
}

func fetch(url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waiting)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, err
}
