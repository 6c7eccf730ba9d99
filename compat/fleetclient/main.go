// Command fleetclient is the update client inside Fleet's agents (see package orbit)
// as a small program for tests, scripts and the demo.
//
//	fleetclient --url URL --state DIR [--root FILE] [--ca FILE] COMMAND
//
// The state folder is the agent's: each run on it is a restart of the same agent.
// --root pins a root.json and is needed only while the state is empty. --ca replaces
// the system's certificate authorities by those of a PEM file. All four may also
// follow the command.
//
//	update              refresh the metadata
//	lookup NAME         show length, hashes and custom of a target, with the expiry test
//	download NAME [-o FILE]   look up, download, check the hash; without -o, drop the bytes
//	all [--json-targets] [NAME...]   update, then check every target in targets.json, and those
//	install COMPONENT PLATFORM CHANNEL [--file NAME]   what a starting agent does
//	poll [...]          the same in a tight loop, while somebody publishes
//	cost [--rounds N] NAME...   an update and lookups, and the processor time that they took
//	serve DIR [...]     a static web server on loopback; needs no --url
//
// stdout holds one line of JSON (serve: the URL), stderr the reason of a failure.
// Exit codes: 0 accepted, 1 refused or failed, 2 wrong use.
//
// poll takes --until-file FILE (end after one more round once FILE exists), --rounds N
// (end after N), --every DUR (pause), --cold (a fresh client with the pinned root in
// each round; beside the agent of --state if that is given too), --restart (open the
// state anew in each round) and --download NAME (repeatable) or --all (every target).
// It ends with 1 if any round failed and prints
//
//	{"rounds":n,"ok":n,"failed":n,"errors":{text:count},"clients":{...},"failures":[...],"versions":{...}}
package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage marks what the caller got wrong: exit 2.
var errUsage = errors.New("wrong use")

func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

func run(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "fleetclient:", err)
		return 2
	}
	fmt.Fprintln(stderr, "fleetclient:", err)
	return 1
}

// setup is what the flags of all commands say.
type setup struct {
	url, state, root, ca string
}

func dispatch(args []string, stdout io.Writer) error {
	var s setup
	rest, err := parse(s.flags("fleetclient"), args, 1)
	if err != nil {
		return err
	}
	commands := map[string]func(*setup, []string, io.Writer) error{
		"update": cmdUpdate, "lookup": cmdLookup, "download": cmdDownload, "all": cmdAll,
		"install": cmdInstall, "poll": cmdPoll, "serve": cmdServe, "cost": cmdCost,
	}
	if len(rest) == 0 {
		return usage("no command: update, lookup, download, all, install, poll, serve or cost")
	}
	command, ok := commands[rest[0]]
	if !ok {
		return usage("unknown command %q", rest[0])
	}
	return command(&s, rest[1:], stdout)
}

// flags makes a set with the four flags that may stand before or behind the command.
func (s *setup) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&s.url, "url", s.url, "web root of the repository")
	fs.StringVar(&s.state, "state", s.state, "the agent's folder")
	fs.StringVar(&s.root, "root", s.root, "pinned root.json, for an empty state")
	fs.StringVar(&s.ca, "ca", s.ca, "PEM file of the certificate authorities to trust")
	return fs
}

// parse reads flags and arguments in any order and stops behind the argument number
// max; the rest is given back untouched behind the arguments.
func parse(fs *flag.FlagSet, args []string, max int) ([]string, error) {
	var out []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usage("%s: %v", fs.Name(), err)
		}
		args = fs.Args()
		if len(args) == 0 {
			return out, nil
		}
		out, args = append(out, args[0]), args[1:]
		if max--; max == 0 {
			return append(out, args...), nil
		}
	}
}

// arguments parses a command's flags and demands exactly n arguments.
func arguments(fs *flag.FlagSet, args []string, n int) ([]string, error) {
	out, err := parse(fs, args, -1)
	if err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, usage("%s takes %d arguments, not %d", fs.Name(), n, len(out))
	}
	return out, nil
}

// options reads the files named in the flags. Without dir the agent lives in memory.
func (s *setup) options(dir string) (orbit.Options, error) {
	opts := orbit.Options{URL: s.url, Dir: dir}
	if s.url == "" {
		return opts, usage("--url is required")
	}
	var err error
	if s.root != "" {
		if opts.Root, err = os.ReadFile(s.root); err != nil {
			return opts, err
		}
	}
	if s.ca == "" {
		return opts, nil
	}
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		return opts, err
	}
	opts.CAs = x509.NewCertPool()
	if !opts.CAs.AppendCertsFromPEM(pem) {
		return opts, fmt.Errorf("%q holds no certificate", s.ca)
	}
	return opts, nil
}

// agent opens the agent of --state.
func (s *setup) agent() (*orbit.Agent, error) {
	if s.state == "" {
		return nil, usage("--state is required")
	}
	opts, err := s.options(s.state)
	if err != nil {
		return nil, err
	}
	return orbit.Open(opts)
}

func printJSON(w io.Writer, v any) error {
	return json.NewEncoder(w).Encode(v)
}
