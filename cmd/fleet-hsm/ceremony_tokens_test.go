//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCeremonyTokens runs testdata/ceremony_tokens: one root whose keys are on
// YubiKeys, on a PKCS#11 token and in files. The commands are those of TestScript,
// TestYubiKey (cards, card, desk) and TestDaily (softhsm, agentfrom).
func TestCeremonyTokens(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	cmds := ceremonyCommands()
	for name, f := range map[string]func(*testscript.TestScript, []string){
		"cards": cmdCards, "card": cmdCard, "desk": cmdDesk, "softhsm": cmdSoftHSM, "agentfrom": cmdAgentFrom,
	} {
		cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(ts, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "ceremony_tokens"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Values[locksKey{}] = map[string]*os.File{}
			env.Values[deskKey{}] = &scriptDesk{cards: map[string]*deskCard{}}
			env.Values[countKey{}] = new(count)
			return nil
		},
		Cmds: cmds,
	})
}
