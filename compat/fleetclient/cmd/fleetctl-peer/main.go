// Command fleetctl-peer does what `fleetctl updates` does, with the same library calls
// (see package peer), so that tests and benchmarks have genuine fleetctl directories.
//
//	fleetctl-peer [--path DIR] init
//	fleetctl-peer [--path DIR] add --target FILE --name N --platform P --version V [-t TAG]...
//	fleetctl-peer [--path DIR] timestamp
//	fleetctl-peer [--path DIR] rotate ROLE
//	fleetctl-peer [--path DIR] roots
//
// A leading word "updates" is dropped and --path may follow the command, as with
// fleetctl. Passphrases come from FLEET_<ROLE>_PASSPHRASE.
//
//	fleetctl-peer [--path DIR] gen [flags]
//
// makes a directory as it would be after years:
//
//	--roles root=3,timestamp=5     keys per role (1)
//	--threshold root=2             threshold per role (1)
//	--algorithm root=p256          ed25519, p256, rsa2048, rsa3072, rsa4096
//	--versions targets=90          version of the metadata (1)
//	--expired snapshot,targets     roles whose metadata is expired
//	--root-version 6               roots to write; each brings and drops a key
//	--expired-old-root             1.root.json is expired
//	--targets 400                  targets to publish
//	--tz-offset -03:30             zone of the expiries
//	--kdf 65536                    scrypt N of the key files
//	--consistent-snapshot          hash- and version-named files
//
//	fleetctl-peer forge --list
//	fleetctl-peer forge NAME DIR
//
// lists the cases of package forge as JSON lines {"name","rotated","v05","v07","v2"},
// and writes the web root of one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/peer"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "fleetctl-peer:", err)
	os.Exit(1)
}

// command is one run: the folder, the flags of the command and its arguments.
type command struct {
	name  string
	path  string
	flags *flag.FlagSet
	out   io.Writer
}

func run(args []string, out io.Writer) error {
	global := flag.NewFlagSet("fleetctl-peer", flag.ContinueOnError)
	path := global.String("path", ".", "the repository's folder")
	if err := global.Parse(args); err != nil {
		return err
	}
	args = global.Args()
	if len(args) > 0 && args[0] == "updates" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("no command: init, add, timestamp, rotate, roots, gen or forge")
	}
	c := &command{name: args[0], path: *path, flags: flag.NewFlagSet(args[0], flag.ContinueOnError), out: out}
	c.flags.StringVar(&c.path, "path", *path, "the repository's folder")
	commands := map[string]func(*command, []string) error{
		"init": runInit, "add": runAdd, "timestamp": runTimestamp, "rotate": runRotate,
		"roots": runRoots, "gen": runGenerate, "forge": runForge,
	}
	f, ok := commands[c.name]
	if !ok {
		return fmt.Errorf("unknown command %q", c.name)
	}
	return f(c, args[1:])
}

// arguments parses the command's flags, in front of its arguments, and demands n.
func (c *command) arguments(args []string, n int) ([]string, error) {
	if err := c.flags.Parse(args); err != nil {
		return nil, err
	}
	if c.flags.NArg() != n {
		return nil, fmt.Errorf("%s takes %d arguments, not %d", c.name, n, c.flags.NArg())
	}
	return c.flags.Args(), nil
}

func runInit(c *command, args []string) error {
	if _, err := c.arguments(args, 0); err != nil {
		return err
	}
	return peer.Init(c.path, c.out)
}

func runAdd(c *command, args []string) error {
	var t peer.Target
	c.flags.StringVar(&t.File, "target", "", "file to publish")
	c.flags.StringVar(&t.Name, "name", "", "component")
	c.flags.StringVar(&t.Platform, "platform", "", "platform")
	c.flags.StringVar(&t.Version, "version", "", "version")
	tag := func(v string) error { t.Tags = append(t.Tags, v); return nil }
	c.flags.Func("t", "channel (repeatable)", tag)
	c.flags.Func("tag", "channel (repeatable)", tag)
	if _, err := c.arguments(args, 0); err != nil {
		return err
	}
	if t.File == "" || t.Name == "" || t.Platform == "" || t.Version == "" {
		return errors.New("add needs --target, --name, --platform and --version")
	}
	return peer.Add(c.path, t)
}

func runTimestamp(c *command, args []string) error {
	if _, err := c.arguments(args, 0); err != nil {
		return err
	}
	return peer.Timestamp(c.path)
}

func runRotate(c *command, args []string) error {
	role, err := c.arguments(args, 1)
	if err != nil {
		return err
	}
	return peer.Rotate(c.path, role[0], c.out)
}

func runRoots(c *command, args []string) error {
	if _, err := c.arguments(args, 0); err != nil {
		return err
	}
	root, err := peer.Roots(c.path)
	if err != nil {
		return err
	}
	_, err = c.out.Write(root)
	return err
}
