// Command softpiv plugs software YubiKeys into this machine for a person, a script or
// a demonstration: programs that are started with the environment it prints see them
// as cards in a reader. README.md shows a whole root ceremony on two of them.
//
//	go run ./softpiv --state DIR            plug them in, until "quit" or Ctrl-C
//	go run ./softpiv --state DIR remove 1   a word to the one that runs
//
// The cards are in package card, the ways to reach them in package pcsc.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// options are the flags.
type options struct {
	state     string
	serials   serialList
	firmware  string
	transport string
	touch     string
	words     []string // a command for the one that runs
}

// serialList is a flag that may be repeated.
type serialList []uint32

// String lists the numbers.
func (l *serialList) String() string {
	if l == nil {
		return ""
	}
	return strings.Trim(fmt.Sprint([]uint32(*l)), "[]")
}

// Set adds one number.
func (l *serialList) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a serial number", s)
	}
	*l = append(*l, uint32(n))
	return nil
}

func main() {
	opts, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(opts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "softpiv:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("softpiv", flag.ContinueOnError)
	flags.StringVar(&o.state, "state", "", "folder that keeps the cards; without it they are forgotten at the end")
	flags.Var(&o.serials, "serial", "serial `number` of a card; repeatable (default: the cards in the folder, else 10000001 and 10000002)")
	flags.StringVar(&o.firmware, "firmware", "5.7.1", "firmware of cards that are made now: 4.3.7, 5.4.3, 5.7.1 or another")
	flags.StringVar(&o.transport, "transport", "auto", "pcscd (the real daemon, needs root), stub (a stand-in library), or auto: pcscd if that is possible")
	flags.StringVar(&o.touch, "touch", "", "who touches the cards: hand (Enter, or the command), auto, nobody (default: hand on a terminal, else auto)")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: softpiv [flags]             plug software YubiKeys in\n"+
			"       softpiv --state DIR COMMAND   tell the one that runs; COMMAND is one of\n"+help()+"\nflags:\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.words = flags.Args()
	if o.touch == "" {
		o.touch = "auto"
		if term.IsTerminal(int(os.Stdin.Fd())) {
			o.touch = "hand"
		}
	}
	return o, nil
}

func run(o options) error {
	if len(o.words) > 0 {
		return tell(o.state, strings.Join(o.words, " "), os.Stdout)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup: it outlives its terminal
		signal.Notify(stop, syscall.SIGHUP)
	}
	d, err := open(o, os.Stderr)
	if err != nil {
		return err
	}
	d.introduce(os.Stdout)
	go d.listen()
	go d.converse(os.Stdin, os.Stdout)
	select {
	case <-stop:
	case <-d.quit:
	}
	return d.close()
}

// introduce says what is there and how to use it. "ready" is for scripts.
func (d *desk) introduce(w io.Writer) {
	_, _ = fmt.Fprintln(w, d.list())
	_, _ = fmt.Fprintf(w, "attestation root: %s\n", d.path("ca.pem"))
	_, _ = fmt.Fprintf(w, "in another shell: . %s\nthat is:\n%s", quote(d.path("env")), d.exports())
	_, _ = fmt.Fprintln(w, `"help" lists the commands`)
	_, _ = fmt.Fprintln(w, "ready")
}
