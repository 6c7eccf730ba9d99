//go:build cgo && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fleet-hsm/fleet-hsm/signer/signertest/localkms"
)

// TestKMS runs testdata/kms: the commands of TestScript, TestYubiKey and TestDaily, with a
// KMS behind sigstore-kms-aws, which is in $PLUGINS, and
//
//	kms [CODE]   what the KMS answers from now on: an error of AWS's; without CODE, itself
func TestKMS(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Log("not run: only root can give the server a network of its own")
		return
	}
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	srv := localkms.Start(t)
	t.Run("docs", func(t *testing.T) { followKMSDoc(t, srv, bin) })
	cmds := scriptCommands()
	for name, f := range map[string]func(*testscript.TestScript, []string){
		"cards": cmdCards, "card": cmdCard, "softhsm": cmdSoftHSM, "serve": cmdServe, "snapshotis": cmdSnapshotIs, "endpoint": cmdEndpoint,
		"kms": func(_ *testscript.TestScript, args []string) {
			srv.Answer(func(string) string { return strings.Join(args, "") })
		},
	} {
		cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(ts, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "kms"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(append(env.Vars, secretEnv()...), srv.Env()...)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("PLUGINS", srv.Plugins)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "remembered"))
			env.Setenv("SERVED", filepath.Join(env.WorkDir, "served"))
			env.Values[locksKey{}] = map[string]*os.File{}
			env.Values[deskKey{}] = &scriptDesk{cards: map[string]*deskCard{}}
			return nil
		},
		Cmds: cmds,
	})
}

// followKMSDoc runs the commands of docs/kms.md as they stand.
func followKMSDoc(t *testing.T, srv *localkms.Server, bin string) {
	dir := t.TempDir()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(fenced(t, "kms.md"), ""))
	cmd.Dir = dir
	cmd.Env = append(append(append(os.Environ(), secretEnv()...), srv.Env()...), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"PLUGINS="+srv.Plugins, "STORE=file://"+filepath.Join(dir, "served"), "FLEET_TIMESTAMP_PASSPHRASE=", "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	out, err := cmd.CombinedOutput()
	if s := shows(string(out)); err != nil || s != "" || !strings.Contains(string(out), "published: timestamp v3") {
		t.Fatalf("%v, a secret: %q\n%s", err, s, out)
	}
	if _, stderr, err := follow(dir, filepath.Join(dir, "agent")); err != nil {
		t.Errorf("an agent refuses: %v\n%s", err, stderr)
	}
}
