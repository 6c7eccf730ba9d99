// Command bench measures fleet-hsm against what a fleetctl user has today and writes a
// fragment of Markdown: the machine, a table of medians and ratios, and the goals.
//
//	go run . -ours PATH [-set core|daily|package|agents] [-peer PATH] [-out FILE] [-dir DIR] [-quick] [-check]
//
// The peer is compat/fleetclient/cmd/fleetctl-peer, which makes fleetctl's calls on
// go-tuf v0.5.2 without the start-up weight of the fleetctl binary: a lower bound. It
// is built from the folder next to this one unless -peer names it.
//
// Both sides run as programs, in turn, pair by pair, so that whatever else the machine
// does meets both. Before each run dirty pages are flushed, because the peer never
// syncs and would leave its writing to the next one. A ratio is the median of the
// pairs' ratios. Bytes written are what the process handed to the kernel or dirtied,
// whichever is more (/proc/PID/io); peak memory is the kernel's figure for the process.
//
// -quick takes few pairs, for a look while working. -check ends with exit code 1 if a
// goal is missed; the figures depend on the machine, so no test does that. Processor
// time stands beside wall time: it tells whether a machine busy with other things is
// why a wall time is long.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

type options struct {
	ours, peer, out, dir, set string
	quick, check              bool
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "v1" {
		if err := kmsPlugin(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.ours, "ours", "", "the fleet-hsm binary")
	flag.StringVar(&o.peer, "peer", "", "the fleetctl-peer binary; built if empty")
	flag.StringVar(&o.out, "out", "", "file to write; stdout if empty")
	flag.StringVar(&o.dir, "dir", "", "folder to work in, on the file system to measure")
	flag.StringVar(&o.set, "set", "core", "core: fleetctl's commands; daily: promote and verify; package: installers; agents: what agents pay")
	flag.BoolVar(&o.quick, "quick", false, "few pairs")
	keys := flag.Int("unlock", 0, "only do the work of unlocking this many keys (for the bench itself)")
	flag.BoolVar(&o.check, "check", false, "fail if a goal is missed")
	flag.Parse()
	if *keys > 0 {
		if err := unlock(*keys); err != nil {
			panic(err) // fixed parameters
		}
		return
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.ours == "" || flag.NArg() > 0 {
		return fmt.Errorf("-ours PATH is required, and no arguments")
	}
	dir, err := os.MkdirTemp(o.dir, "fleet-hsm-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.ours, err = filepath.Abs(o.ours); err != nil {
		return err
	}
	if o.peer == "" {
		if o.peer, err = buildPeer(dir); err != nil {
			return err
		}
	} else if o.peer, err = filepath.Abs(o.peer); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := newBench(o, dir, self)
	if err := b.all(); err != nil {
		return err
	}
	if err := write(o.out, b.report); err != nil {
		return err
	}
	if missed := b.missed(); o.check && len(missed) > 0 {
		return fmt.Errorf("goals missed: %q", missed)
	}
	return nil
}

func buildPeer(dir string) (string, error) {
	bin := filepath.Join(dir, "fleetctl-peer")
	cmd := exec.Command("go", "build", "-C", filepath.Join("..", "compat", "fleetclient"), "-o", bin, "./cmd/fleetctl-peer")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the peer (run this from bench/): %w: %s", err, out)
	}
	return bin, nil
}

func write(path string, render func(io.Writer) error) error {
	if path == "" {
		return render(os.Stdout)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := render(f); err != nil {
		return err
	}
	return f.Close()
}
