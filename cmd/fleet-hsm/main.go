// Fleet-hsm runs an update repository for Fleet's agents: the commands of `fleetctl
// updates`, with every key in the place it deserves (YubiKey, HSM or encrypted file).
//
// The tree: one command, one file (init.go, add.go, ...): its flags, its examples and what
// it prints. What it does to a repository is package workflow's; keys are package
// keyring's, the person package prompt's, the configuration package config's. hints*.go
// turn every error into an exit code and a way out, backends.go lists the kinds of key.
// Nothing else exits the process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

func main() { os.Exit(run(os.Args[1:], time.Now, kinds())) }

// run takes what tests replace: the clock and the kinds of key.
func run(args []string, now func() time.Time, kinds signer.Kinds) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	noCoreDumps()
	collectLater()
	a := newApp(os.Stdout, os.Stderr)
	a.now, a.kinds = now, kinds
	defer a.close()
	cmd := a.command()
	cmd.SetArgs(args)
	ran, err := cmd.ExecuteContextC(ctx)
	a.ran = ran.CommandPath()
	return a.exit(ctx, err)
}
