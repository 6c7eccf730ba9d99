// Command clientv2 is the client of go-tuf v2.4.2 as a small program, with the commands
// of fleetclient that tests share: a second opinion on what fleet-hsm publishes. Package
// judge says how it is used.
package main

import (
	"os"

	"github.com/fleet-hsm/fleet-hsm/compat/judge"
)

const name = "clientv2"

func main() {
	os.Exit(judge.Run(name, open, os.Args[1:], os.Stdout, os.Stderr))
}
