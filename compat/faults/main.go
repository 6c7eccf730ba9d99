package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the size of a campaign.
type options struct {
	toolBin, peerBin, work string
	match                  string
	only                   []string
	seed                   uint64
	workers                int
	keep, long, verbose    bool

	kills, peerKills int
	stride           int // every n-th system call that is no rename
	errorStride      int
	peerFile         int // bytes
	races, changes   int
	loops            time.Duration
}

// size sets the figures of the two forms. The short one has to end within 90 s on two
// cores, and still meets every class, every scenario and every rename.
func (o *options) size() {
	o.kills, o.peerKills, o.stride, o.errorStride, o.races, o.changes, o.loops = 30, 3, 24, 24, 2, 12, 4*time.Second
	o.peerFile = sizeNext
	if o.long {
		o.peerFile = 16 << 20
		o.kills, o.peerKills, o.stride, o.errorStride, o.races, o.changes, o.loops = 500, 50, 1, 1, 40, 300, time.Minute
	}
}

func parse(args []string) (options, error) {
	var o options
	var only string
	fs := flag.NewFlagSet("faults", flag.ContinueOnError)
	fs.StringVar(&o.toolBin, "tool", "", "the fleet-hsm binary")
	fs.StringVar(&o.peerBin, "peer", "", "the fleetctl-peer binary")
	fs.StringVar(&o.work, "work", "", "folder to work in (default: a new temporary one)")
	fs.StringVar(&only, "only", "", "classes, separated by commas (default: all)")
	fs.StringVar(&o.match, "match", "", "only scenarios whose name has this in it, such as \"rotate targets, flat\"")
	fs.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "of everything random; printed at the start")
	fs.IntVar(&o.workers, "workers", 2, "wrecks at a time")
	fs.BoolVar(&o.keep, "keep", false, "keep the work folder")
	fs.BoolVar(&o.verbose, "verbose", false, "list what was said after injected errors")
	fs.BoolVar(&o.long, "long", false, "the full figures")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.toolBin == "" || o.peerBin == "" || fs.NArg() > 0 {
		return o, errors.New("--tool and --peer are needed, and no argument")
	}
	for _, bin := range []*string{&o.toolBin, &o.peerBin} {
		abs, err := filepath.Abs(*bin)
		if err != nil {
			return o, err
		}
		*bin = abs
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	o.size()
	return o, nil
}

func main() { os.Exit(run()) }

func run() int {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 2
	}
	rep := newReport()
	rep.verbose = o.verbose
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopped
		// What was found until now is worth as much; children end with their tracer.
		rep.mu.Lock()
		rep.print(os.Stdout)
		os.Exit(130)
	}()
	if err := campaigns(o, rep); err != nil {
		rep.print(os.Stdout)
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	rep.print(os.Stdout)
	if len(rep.violations) > 0 {
		return 1
	}
	return 0
}

func campaigns(o options, rep *report) error {
	work, err := makeWork(o.work)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "faults: seed %d, working in %s\n", o.seed, work)
	home := filepath.Join(work, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	j, err := newJudge(work)
	if err != nil {
		return err
	}
	defer j.server.Close()
	l, err := newLab(work, tool{o.toolBin, home}, j)
	if err != nil {
		return err
	}
	c := &campaign{lab: l, opts: o, report: rep}
	defer c.clear()
	wanted := func(s *scenario) bool { return strings.Contains(s.String(), o.match) }
	if os.Getenv(inner) != "" {
		wanted = forDisk
	}
	all, err := c.prepare(wanted)
	if err != nil {
		return err
	}
	return c.runAll(all)
}

func makeWork(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "fleet-hsm-faults-")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return abs, os.Mkdir(abs, 0o755)
}

func (c *campaign) runAll(all []*scenario) error {
	classes := []struct {
		name string
		run  func([]*scenario) error
	}{
		{"kill", c.kills}, {"call", c.calls}, {"error", c.errors}, {"disk", c.disk},
		{"peer", c.compare}, {"race", c.races}, {"poll", c.polls},
	}
	for _, class := range classes {
		if len(c.opts.only) > 0 && !slices.Contains(c.opts.only, class.name) {
			continue
		}
		start, used := time.Now(), processorTime()
		if err := class.run(all); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "faults: %s done in %v, %v of processor\n", class.name,
			time.Since(start).Round(time.Second), (processorTime() - used).Round(time.Second))
	}
	return nil
}

// processorTime is what this program and the commands that it has run took: on a busy
// machine the clock says little.
func processorTime() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
